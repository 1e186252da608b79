//! What can be wrong with a system call filter, before anything is installed.
//!
//! Profiles are files that people write, so an error says where in the file: the JSON path of the value,
//! counted as in the file, beginning at the profile's own object.

use super::arch::Arch;

/// Why there is no program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeccompError {
    /// A value that no filter can be made of.
    #[error("the seccomp profile's {path} is {found}, but {expected}")]
    Value {
        /// Where, e.g. `syscalls[3].args[0].index`.
        path: String,
        /// What stands there.
        found: String,
        /// What would be right, as a half sentence.
        expected: String,
    },
    /// Two rules want different things of the same call, and neither is plainly the one that is meant.
    #[error(
        "the seccomp profile's {path} contradicts {other} about {name}: the same conditions lead to another \
         action, so remove one of the two"
    )]
    Conflict {
        /// The later rule.
        path: String,
        /// The earlier rule.
        other: String,
        /// The system call.
        name: String,
    },
    /// The kernel takes 4,096 instructions (BPF_MAXINSNS).
    #[error(
        "the seccomp profile compiles to {instructions} instructions, but the kernel takes {max}, so use fewer \
         rules with argument conditions",
        max = super::bpf::MAX_INSTRUCTIONS
    )]
    TooLong {
        /// How many it would take.
        instructions: usize,
    },
    /// This machine's kind is not one that the tables know.
    #[error(
        "system call filters are not known for {arch} machines, only for {known}, so run without one",
        known = Arch::ALL.map(Arch::name).join(", ")
    )]
    Machine {
        /// Its name, as Rust gives it.
        arch: String,
    },
    /// Stored bytes that are not a program.
    #[error("a stored seccomp program cannot be read because {problem}, so compile it again")]
    Stored {
        /// What is wrong with them.
        problem: String,
    },
}

impl SeccompError {
    pub(super) fn value(
        path: impl Into<String>,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> SeccompError {
        SeccompError::Value { path: path.into(), found: found.to_string(), expected: expected.into() }
    }
}
