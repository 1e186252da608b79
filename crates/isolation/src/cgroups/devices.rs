//! Device rules: which device nodes a container may open or make, whatever nodes it can lay its hands on.
//!
//! Version 1 has a controller that keeps a list; on version 2 a small eBPF program, made here, is attached to
//! the group and asked at each open and mknod (the kernel's Documentation/admin-guide/cgroup-v2.rst, "Device
//! controller").

use bulkhead_sys::bpf::Instruction;
use serde::{Deserialize, Serialize};

/// One rule; of several that apply the last decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Whether it allows.
    pub allow: bool,
    /// Which devices; `All` ignores the numbers.
    pub kind: Kind,
    /// Major number; `None` is any.
    pub major: Option<u32>,
    /// Minor number; `None` is any.
    pub minor: Option<u32>,
    /// What is allowed or denied.
    pub access: Access,
}

/// Kinds of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Both.
    All,
    /// Character devices.
    Character,
    /// Block devices.
    Block,
}

/// Ways to use a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Open for reading.
    pub read: bool,
    /// Open for writing.
    pub write: bool,
    /// Make a node.
    pub mknod: bool,
}

impl Access {
    /// Everything.
    pub const ALL: Access = Access { read: true, write: true, mknod: true };
    /// A node may be made, not opened.
    pub const MKNOD: Access = Access { read: false, write: false, mknod: true };

    /// From letters of `rwm`.
    pub fn parse(letters: &str) -> Option<Access> {
        let known = !letters.is_empty() && letters.chars().all(|letter| "rwm".contains(letter));
        known.then(|| Access {
            read: letters.contains('r'),
            write: letters.contains('w'),
            mknod: letters.contains('m'),
        })
    }

    fn bits(self) -> i32 {
        i32::from(self.mknod) | i32::from(self.read) << 1 | i32::from(self.write) << 2
    }
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (letter, on) in [("r", self.read), ("w", self.write), ("m", self.mknod)] {
            if on {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

impl Rule {
    /// A rule that allows.
    pub fn allow(kind: Kind, major: Option<u32>, minor: Option<u32>, access: Access) -> Rule {
        Rule { allow: true, kind, major, minor, access }
    }

    /// Everything denied: the first rule of a list that says what is allowed.
    pub fn deny_all() -> Rule {
        Rule { allow: false, kind: Kind::All, major: None, minor: None, access: Access::ALL }
    }

    /// The line that version 1's devices.allow and devices.deny take.
    pub(crate) fn line(&self) -> String {
        let number = |n: Option<u32>| n.map_or("*".into(), |n| n.to_string());
        let kind = match self.kind {
            Kind::All => return "a".into(),
            Kind::Character => 'c',
            Kind::Block => 'b',
        };
        format!("{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

/// What every container may do: make any node (it cannot open it), and use the standard ones and terminals.
pub fn standard() -> Vec<Rule> {
    let character = |major, minor| Rule::allow(Kind::Character, Some(major), minor, Access::ALL);
    vec![
        Rule::deny_all(),
        Rule::allow(Kind::Character, None, None, Access::MKNOD),
        Rule::allow(Kind::Block, None, None, Access::MKNOD),
        character(1, Some(3)), // null
        character(1, Some(5)), // zero
        character(1, Some(7)), // full
        character(1, Some(8)), // random
        character(1, Some(9)), // urandom
        character(5, Some(0)), // tty
        character(5, Some(1)), // console
        character(5, Some(2)), // ptmx
        character(136, None),  // pseudo-terminals
    ]
}

const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const RSH32: u8 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const AND32: u8 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const MOV32_REGISTER: u8 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const MOV64: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
const JUMP_NOT_EQUAL: u8 = 0x55; // BPF_JMP | BPF_JNE | BPF_K
const JUMP_EQUAL: u8 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

const RESULT: u8 = 0;
const CONTEXT: u8 = 1; // and, once it has been read, scratch
const TYPE: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: destination | source << 4, offset, immediate }
}

/// The program for `rules`: the last rule that applies decides, so it is tried first; without one, denied.
/// The context is struct bpf_cgroup_dev_ctx: `access << 16 | type`, major, minor.
pub(crate) fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut code = vec![
        instruction(LOAD_WORD, TYPE, CONTEXT, 0, 0),
        instruction(MOV32_REGISTER, ACCESS, TYPE, 0, 0),
        instruction(RSH32, ACCESS, 0, 0, 16),
        instruction(AND32, TYPE, 0, 0, 0xffff),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let mut tests: Vec<Instruction> = Vec::new();
        match rule.kind {
            Kind::All => {}
            Kind::Block => tests.push(instruction(JUMP_NOT_EQUAL, TYPE, 0, 0, 1)),
            Kind::Character => tests.push(instruction(JUMP_NOT_EQUAL, TYPE, 0, 0, 2)),
        }
        tests.push(instruction(MOV32_REGISTER, CONTEXT, ACCESS, 0, 0));
        if rule.allow {
            // All that is asked must be in the rule …
            tests.push(instruction(AND32, CONTEXT, 0, 0, 7 & !rule.access.bits()));
            tests.push(instruction(JUMP_NOT_EQUAL, CONTEXT, 0, 0, 0));
        } else {
            // … and any of it is enough to deny.
            tests.push(instruction(AND32, CONTEXT, 0, 0, rule.access.bits()));
            tests.push(instruction(JUMP_EQUAL, CONTEXT, 0, 0, 0));
        }
        if rule.kind != Kind::All {
            for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
                if let Some(number) = number {
                    tests.push(instruction(JUMP_NOT_EQUAL, register, 0, 0, number.cast_signed()));
                }
            }
        }
        // A failed test goes on after the two instructions that give the rule's answer.
        let length = tests.len();
        for (place, test) in tests.iter_mut().enumerate() {
            if matches!(test.code, JUMP_NOT_EQUAL | JUMP_EQUAL) {
                test.offset = i16::try_from(length - place - 1 + 2).unwrap_or(i16::MAX);
            }
        }
        code.extend(tests);
        code.push(instruction(MOV64, RESULT, 0, 0, i32::from(rule.allow)));
        code.push(instruction(EXIT, 0, 0, 0, 0));
    }
    code.push(instruction(MOV64, RESULT, 0, 0, 0));
    code.push(instruction(EXIT, 0, 0, 0, 0));
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs the program as the kernel would, for the few instructions that it uses.
    fn run(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0u32; 6];
        let mut at = 0;
        loop {
            let i = program[at];
            let (to, from) = ((i.registers & 15) as usize, (i.registers >> 4) as usize);
            at += 1;
            let immediate = i.immediate.cast_unsigned();
            let jump = |taken: bool| if taken { usize::try_from(i.offset).unwrap() } else { 0 };
            match i.code {
                LOAD_WORD => registers[to] = context[usize::try_from(i.offset).unwrap() / 4],
                RSH32 => registers[to] >>= immediate,
                AND32 => registers[to] &= immediate,
                MOV32_REGISTER => registers[to] = registers[from],
                MOV64 => registers[to] = immediate,
                JUMP_NOT_EQUAL => at += jump(registers[to] != immediate),
                JUMP_EQUAL => at += jump(registers[to] == immediate),
                EXIT => return registers[0] != 0,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    fn expected(rules: &[Rule], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let applies = |rule: &&Rule| {
            let kinds = match rule.kind {
                Kind::All => {
                    return if rule.allow {
                        access & !rule.access.bits().cast_unsigned() == 0
                    } else {
                        access & rule.access.bits().cast_unsigned() != 0
                    };
                }
                Kind::Block => 1,
                Kind::Character => 2,
            };
            let bits = rule.access.bits().cast_unsigned();
            kinds == kind
                && if rule.allow { access & !bits == 0 } else { access & bits != 0 }
                && rule.major.is_none_or(|n| n == major)
                && rule.minor.is_none_or(|n| n == minor)
        };
        rules.iter().rev().find(applies).is_some_and(|rule| rule.allow)
    }

    fn rule() -> impl Strategy<Value = Rule> {
        let kind = prop_oneof![Just(Kind::All), Just(Kind::Character), Just(Kind::Block)];
        let number = || proptest::option::of(0u32..4);
        let access = (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(read, write, mknod)| Access {
            read,
            write,
            mknod,
        });
        (any::<bool>(), kind, number(), number(), access)
            .prop_map(|(allow, kind, major, minor, access)| Rule { allow, kind, major, minor, access })
    }

    #[test]
    fn the_standard_rules_allow_null_and_no_disk() {
        let program = program(&standard());
        assert!(run(&program, 2, 6, 1, 3));
        assert!(run(&program, 1, 1, 8, 0), "making a node is allowed");
        assert!(!run(&program, 1, 2, 8, 0), "opening a disk is not");
        assert!(!run(&program, 2, 2, 1, 1), "nor is /dev/mem");
    }

    proptest! {
        #[test]
        fn the_program_decides_as_the_rules_say(
            rules in proptest::collection::vec(rule(), 0..8),
            kind in 1u32..3, access in 1u32..8, major in 0u32..4, minor in 0u32..4,
        ) {
            prop_assert_eq!(
                run(&program(&rules), kind, access, major, minor),
                expected(&rules, kind, access, major, minor)
            );
        }
    }
}
