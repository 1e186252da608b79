//! The words of a profile: actions, operators, architectures and flags, spelled as in the OCI runtime
//! specification's `linux.seccomp` object.
//!
//! A word that nobody knows is kept as it was written instead of failing in the JSON reader, because only
//! the compiler knows the place in the file and can name it.

use serde::{Deserialize, Serialize};

/// An enum of known words and `Other` for the rest, which reads and writes as a string.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A word that is not one of these; compiling a profile with it fails.
            Other(String),
        }

        impl $name {
            /// All words that are known, for error messages.
            pub const WORDS: &[&str] = &[$($word),+];

            /// The word, as it is written.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => $word,)+
                    $name::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> $name {
                match word.as_str() {
                    $($word => $name::$variant,)+
                    _ => $name::Other(word),
                }
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> String {
                word.as_str().to_owned()
            }
        }
    };
}

words! {
    /// What happens to a call (seccomp(2), "return values").
    Action {
        /// The thread dies, as by SIGSYS. The old word for `KillThread`.
        Kill = "SCMP_ACT_KILL",
        /// The process dies, as by SIGSYS.
        KillProcess = "SCMP_ACT_KILL_PROCESS",
        /// The thread dies, as by SIGSYS.
        KillThread = "SCMP_ACT_KILL_THREAD",
        /// The thread gets a SIGSYS that it can handle.
        Trap = "SCMP_ACT_TRAP",
        /// The call fails with an error number.
        Errno = "SCMP_ACT_ERRNO",
        /// The tracer decides; without one the call fails with ENOSYS.
        Trace = "SCMP_ACT_TRACE",
        /// The call is made.
        Allow = "SCMP_ACT_ALLOW",
        /// The call is made and written to the audit log.
        Log = "SCMP_ACT_LOG",
        /// The process that holds the notification descriptor decides (seccomp_unotify(2)).
        Notify = "SCMP_ACT_NOTIFY",
    }
}

words! {
    /// How an argument is compared: unsigned, with 64 bits.
    Operator {
        /// argument ≠ value
        NotEqual = "SCMP_CMP_NE",
        /// argument < value
        Less = "SCMP_CMP_LT",
        /// argument ≤ value
        LessOrEqual = "SCMP_CMP_LE",
        /// argument = value
        Equal = "SCMP_CMP_EQ",
        /// argument ≥ value
        GreaterOrEqual = "SCMP_CMP_GE",
        /// argument > value
        Greater = "SCMP_CMP_GT",
        /// argument & value = valueTwo
        MaskedEqual = "SCMP_CMP_MASKED_EQ",
    }
}

words! {
    /// A system call table. Those without a table here are known so that one profile can serve many
    /// machines; they decide nothing on this one.
    Architecture {
        /// 64-bit x86.
        X86_64 = "SCMP_ARCH_X86_64",
        /// 32-bit x86.
        X86 = "SCMP_ARCH_X86",
        /// 64-bit x86 with 32-bit pointers.
        X32 = "SCMP_ARCH_X32",
        /// 64-bit ARM.
        Aarch64 = "SCMP_ARCH_AARCH64",
        /// 32-bit ARM.
        Arm = "SCMP_ARCH_ARM",
        /// 64-bit RISC-V.
        Riscv64 = "SCMP_ARCH_RISCV64",
        /// LoongArch.
        Loongarch64 = "SCMP_ARCH_LOONGARCH64",
        /// Motorola 68000.
        M68k = "SCMP_ARCH_M68K",
        /// MIPS, big-endian, O32.
        Mips = "SCMP_ARCH_MIPS",
        /// MIPS, big-endian, N64.
        Mips64 = "SCMP_ARCH_MIPS64",
        /// MIPS, big-endian, N32.
        Mips64n32 = "SCMP_ARCH_MIPS64N32",
        /// MIPS, little-endian, O32.
        Mipsel = "SCMP_ARCH_MIPSEL",
        /// MIPS, little-endian, N64.
        Mipsel64 = "SCMP_ARCH_MIPSEL64",
        /// MIPS, little-endian, N32.
        Mipsel64n32 = "SCMP_ARCH_MIPSEL64N32",
        /// PA-RISC.
        Parisc = "SCMP_ARCH_PARISC",
        /// PA-RISC, 64 bits.
        Parisc64 = "SCMP_ARCH_PARISC64",
        /// PowerPC.
        Ppc = "SCMP_ARCH_PPC",
        /// PowerPC, 64 bits.
        Ppc64 = "SCMP_ARCH_PPC64",
        /// PowerPC, 64 bits, little-endian.
        Ppc64le = "SCMP_ARCH_PPC64LE",
        /// System z, 31 bits.
        S390 = "SCMP_ARCH_S390",
        /// System z.
        S390x = "SCMP_ARCH_S390X",
        /// SuperH.
        Sh = "SCMP_ARCH_SH",
        /// SuperH, big-endian.
        Sheb = "SCMP_ARCH_SHEB",
    }
}

words! {
    /// How the filter is installed (seccomp(2), `flags`).
    Flag {
        /// All threads of the process get it.
        Tsync = "SECCOMP_FILTER_FLAG_TSYNC",
        /// Everything but what is allowed is written to the audit log.
        Log = "SECCOMP_FILTER_FLAG_LOG",
        /// Speculative store bypass is not disabled along with it.
        SpecAllow = "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        /// A call whose notification was received can only be interrupted by a fatal signal.
        WaitKillableRecv = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    }
}
