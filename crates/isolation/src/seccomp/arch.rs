//! Machines and the system call tables that they run, with the names that the kernel, libseccomp and Go
//! have for them.
//!
//! A 64-bit kernel also runs 32-bit programs, which have another table with other numbers: filtering the
//! native one alone would leave a door open. `seccomp_data.arch` says which table a call came through
//! (linux/audit.h), but x32 shares x86-64's value and is told apart by bit 30 of the number.

use super::SeccompError;
use super::words::Architecture;

/// A kind of machine that filters can be compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Arch; 3] = [Arch::X86_64, Arch::Aarch64, Arch::Riscv64];

    /// The machine that this was built for.
    ///
    /// # Errors
    /// [`SeccompError::Machine`] if it is none of these.
    pub fn native() -> Result<Arch, SeccompError> {
        let here = std::env::consts::ARCH;
        let found = Arch::ALL.into_iter().find(|arch| arch.name() == here);
        found.ok_or_else(|| SeccompError::Machine { arch: here.into() })
    }

    /// The kernel's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
            Arch::Riscv64 => "riscv64",
        }
    }

    /// Go's name, which Docker's profiles have in `includes.arches`.
    pub(super) fn docker_name(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::Aarch64 => "arm64",
            Arch::Riscv64 => "riscv64",
        }
    }

    /// The native table first, then those of the programs it runs besides.
    pub(super) fn abis(self) -> &'static [Abi] {
        match self {
            Arch::X86_64 => &[Abi::X86_64, Abi::X32, Abi::X86],
            Arch::Aarch64 => &[Abi::Aarch64, Abi::Arm],
            Arch::Riscv64 => &[Abi::Riscv64],
        }
    }
}

/// A system call table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abi {
    X86_64,
    X32,
    X86,
    Aarch64,
    Arm,
    Riscv64,
}

/// What is added to x32's numbers (__X32_SYSCALL_BIT).
pub(super) const X32_BIT: u32 = 0x4000_0000;

impl Abi {
    /// AUDIT_ARCH_*: the ELF machine number, with bits for 64-bit and little-endian.
    pub(super) fn audit(self) -> u32 {
        match self {
            Abi::X86_64 | Abi::X32 => 0xc000_003e,
            Abi::X86 => 0x4000_0003,
            Abi::Aarch64 => 0xc000_00b7,
            Abi::Arm => 0x4000_0028,
            Abi::Riscv64 => 0xc000_00f3,
        }
    }

    /// Whether arguments have 32 bits, so that the upper half means nothing. x32's registers are whole.
    pub(super) fn has_32_bits(self) -> bool {
        matches!(self, Abi::X86 | Abi::Arm)
    }

    pub(super) fn architecture(self) -> Architecture {
        match self {
            Abi::X86_64 => Architecture::X86_64,
            Abi::X32 => Architecture::X32,
            Abi::X86 => Architecture::X86,
            Abi::Aarch64 => Architecture::Aarch64,
            Abi::Arm => Architecture::Arm,
            Abi::Riscv64 => Architecture::Riscv64,
        }
    }
}
