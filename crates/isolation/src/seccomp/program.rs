//! A compiled filter, and the forms in which it is stored and sent.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::SeccompError;
use super::arch::Arch;
use super::bpf::{Instruction, MAX_INSTRUCTIONS};
use super::compile::{NEW_LISTENER, compile};
use super::policy::default_policy;

/// What seccomp(2) takes: instructions and flags.
///
/// In JSON the instructions are one string of hexadecimal digits, sixteen for each in the order of
/// [`to_bytes`](Program::to_bytes): a filter travels with every plan, and a thousand objects would take
/// longer to write and read than to compile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The filter; never empty.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub instructions: Vec<Instruction>,
    /// SECCOMP_FILTER_FLAG_* bits.
    pub flags: u32,
}

impl Program {
    /// The default filter of a container with these capabilities (its bounding set, by name) on this machine
    /// and kernel.
    ///
    /// # Errors
    /// [`SeccompError::Machine`].
    pub fn default_for<S: AsRef<str>>(capabilities: &[S]) -> Result<Program, SeccompError> {
        compile(&default_policy(capabilities, kernel_version()), Arch::native()?)
    }

    /// Whether installing it gives a notification descriptor, which somebody must answer.
    pub fn listens(&self) -> bool {
        self.flags & NEW_LISTENER != 0
    }

    /// The instructions as struct sock_filter on little-endian machines: 8 bytes each.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.instructions.iter().flat_map(|one| bytes_of(*one)).collect()
    }

    /// A program from its bytes. Jumps and operations are for the kernel to check, as it does on each
    /// installation.
    ///
    /// # Errors
    /// [`SeccompError::Stored`] if these are not 1 to 4,096 instructions.
    pub fn from_bytes(bytes: &[u8], flags: u32) -> Result<Program, SeccompError> {
        let (whole, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() || whole.is_empty() || whole.len() > MAX_INSTRUCTIONS {
            let problem = format!("{} bytes are not 1 to {MAX_INSTRUCTIONS} instructions", bytes.len());
            return Err(SeccompError::Stored { problem });
        }
        Ok(Program { instructions: whole.iter().copied().map(instruction_of).collect(), flags })
    }
}

fn bytes_of(instruction: Instruction) -> [u8; 8] {
    let [c0, c1] = instruction.code.to_le_bytes();
    let [k0, k1, k2, k3] = instruction.k.to_le_bytes();
    [c0, c1, instruction.jt, instruction.jf, k0, k1, k2, k3]
}

fn instruction_of([c0, c1, jt, jf, k0, k1, k2, k3]: [u8; 8]) -> Instruction {
    Instruction { code: u16::from_le_bytes([c0, c1]), jt, jf, k: u32::from_le_bytes([k0, k1, k2, k3]) }
}

fn write<S: Serializer>(instructions: &[Instruction], target: S) -> Result<S::Ok, S::Error> {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    let bytes = instructions.iter().flat_map(|one| bytes_of(*one));
    let digits: String = bytes.flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    target.serialize_str(&digits)
}

fn read<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<Instruction>, D::Error> {
    let digits = String::deserialize(source)?;
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let bytes = pairs.iter().map(|[high, low]| Some(value(*high)? << 4 | value(*low)?));
    let bytes: Vec<u8> = bytes
        .collect::<Option<_>>()
        .filter(|_| rest.is_empty())
        .ok_or_else(|| D::Error::custom("a seccomp program is not written in hexadecimal digits"))?;
    Program::from_bytes(&bytes, 0).map(|program| program.instructions).map_err(D::Error::custom)
}

/// The running kernel's version (uname(2)); (0, 0), for which the least is allowed, if it has no numbers.
pub fn kernel_version() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_str().unwrap_or_default();
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
