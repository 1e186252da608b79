//! The system call filter: which of the kernel's doors a container may knock at.
//!
//! A container shares its host's kernel, and every system call is code of that kernel that its processes
//! can reach. Most programs need some 300 of the 450 there are; the rest is administration of the host,
//! leftovers of forty years, and the newest, least tried parts, where nearly every escape from a container
//! has begun. So the default policy names what is allowed and refuses everything else, whatever the
//! process's user or capabilities. seccomp(2) holds that for the process and all that it starts, for good.
//!
//! The kernel takes the filter as a program for a tiny machine (classic BPF) that sees the number, the table
//! it belongs to, and six words of arguments: never the memory that they point to. The way to it:
//!
//! | step | from → to | where |
//! |---|---|---|
//! | the default, for a container's capabilities and kernel | → [`Seccomp`] | `policy` |
//! | Docker's profile file, resolved for a container | [`DockerProfile`] → [`Seccomp`] | `docker` |
//! | the OCI runtime specification's object | JSON → [`Seccomp`] | `profile`, `words` |
//! | names to numbers, in all tables that the machine runs | | `numbers`, `arch` |
//! | which rule counts, by libseccomp's habits | | `rules`, `multiplex` |
//! | numbers and conditions to instructions | → [`Program`] | `compile`, `bpf` |
//! | stored, sent, and installed by the `sys` crate | | `program` |
//!
//! Three things decide whether such a filter holds, and each is easily forgotten:
//! - *All tables.* A 64-bit kernel serves 32-bit programs too, with other numbers. Tables that the profile
//!   does not name kill.
//! - *All ways to the same thing.* 32-bit x86 has doors that lead to many calls, which rules must cover
//!   (`multiplex`); and whoever forbids flags of clone(2) must forbid clone3(2), whose flags lie in memory.
//! - *All of a register.* The kernel looks at 32 bits of most arguments, the filter at 64. A value that is
//!   allowed is compared whole, so nothing passes that the author did not mean; to forbid a value, compare it
//!   with SCMP_CMP_MASKED_EQ and the mask 0xffffffff, or a caller sets a bit above.
//!
//! Compiling the default policy takes about 0.1 ms, so programs are made for each start and not kept
//! anywhere: a cache would be one more thing that can be stale or forged.
//!
//! ```
//! use bulkhead_isolation::seccomp::{Action, Arch, Program, compile, default_policy};
//!
//! // What a container gets that has no capability but this one.
//! let program = Program::default_for(&["CAP_NET_BIND_SERVICE"])?;
//! assert!(program.instructions.len() < 1000);
//!
//! // The same, but what is refused is written to the audit log and made.
//! let mut policy = default_policy(&["CAP_NET_BIND_SERVICE"], (6, 1));
//! (policy.default_action, policy.default_errno_ret) = (Action::Log, None);
//! compile(&policy, Arch::Aarch64)?;
//! # Ok::<(), bulkhead_isolation::seccomp::SeccompError>(())
//! ```

mod arch;
mod bpf;
mod compile;
mod docker;
mod error;
mod multiplex;
mod numbers;
mod policy;
mod profile;
mod program;
mod rules;
mod words;

#[cfg(test)]
mod interpreter;
#[cfg(test)]
mod properties;

pub use arch::Arch;
pub use bpf::{Instruction, MAX_INSTRUCTIONS};
pub use compile::{compile, supported};
pub use docker::{ArchMap, DockerProfile, DockerRule, Filter};
pub use error::SeccompError;
pub use policy::default_policy;
pub use profile::{Arg, Rule, Seccomp};
pub use program::{Program, kernel_version};
pub use words::{Action, Architecture, Flag, Operator};
