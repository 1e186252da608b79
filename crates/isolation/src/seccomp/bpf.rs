//! Classic BPF as seccomp(2) takes it: instructions, and an assembler that works from the end.
//!
//! Every jump of classic BPF goes forward, so a program that is written from its last instruction to its
//! first knows each target when it jumps there. Conditional jumps reach 255 instructions; beyond that the
//! assembler puts a copy of a return, or an unconditional jump, within reach.

use serde::{Deserialize, Serialize};

use super::words::Action;

/// What the kernel takes at most (BPF_MAXINSNS).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// BPF_LD | BPF_W | BPF_ABS: loads a word of struct seccomp_data.
pub(super) const LOAD: u16 = 0x20;
/// BPF_ALU | BPF_AND | BPF_K.
pub(super) const AND: u16 = 0x54;
/// BPF_JMP | BPF_JA.
pub(super) const JUMP: u16 = 0x05;
/// BPF_JMP | BPF_JEQ | BPF_K.
pub(super) const IF_EQUAL: u16 = 0x15;
/// BPF_JMP | BPF_JGT | BPF_K.
pub(super) const IF_GREATER: u16 = 0x25;
/// BPF_JMP | BPF_JGE | BPF_K.
pub(super) const IF_NOT_LESS: u16 = 0x35;
/// BPF_RET | BPF_K.
pub(super) const RETURN: u16 = 0x06;

/// Offset of `nr` in struct seccomp_data.
pub(super) const NUMBER: u32 = 0;
/// Offset of `arch`.
pub(super) const ARCHITECTURE: u32 = 4;
/// Offset of the first argument: six of them, each a lower word before an upper one on the machines here.
pub(super) const ARGUMENTS: u32 = 16;

/// SECCOMP_RET_KILL_PROCESS.
pub(super) const KILL_PROCESS: u32 = 0x8000_0000;

/// SECCOMP_RET_*, without its data.
pub(super) fn action_of(action: &Action) -> u32 {
    match action {
        // What cannot be understood is never allowed (and is refused before it comes to this).
        Action::KillProcess | Action::Other(_) => KILL_PROCESS,
        Action::Kill | Action::KillThread => 0,
        Action::Trap => 0x0003_0000,
        Action::Errno => 0x0005_0000,
        Action::Notify => 0x7fc0_0000,
        Action::Trace => 0x7ff0_0000,
        Action::Log => 0x7ffc_0000,
        Action::Allow => 0x7fff_0000,
    }
}

/// One instruction: struct sock_filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when the test holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// Return this.
    Return(u32),
    /// An instruction that has been written: its distance from the end of the program.
    At(usize),
}

/// How far a jump may go: less than 255, to leave room for what is put between it and its targets.
const REACH: usize = 250;

/// Writes a program, the last instruction first.
#[derive(Default)]
pub(super) struct Assembler {
    /// In reverse.
    written: Vec<Instruction>,
    /// The last return of each value.
    returns: Vec<(u32, usize)>,
}

impl Assembler {
    /// Writes an instruction in front of what is there. It goes on to `next`.
    pub(super) fn step(&mut self, code: u16, k: u32, next: Label) -> Label {
        let place = self.place(next);
        if place + 1 != self.written.len() {
            self.jump_to(place);
        }
        self.push(code, 0, 0, k)
    }

    /// Writes a test in front of what is there.
    pub(super) fn test(&mut self, code: u16, k: u32, then: Label, otherwise: Label) -> Label {
        if then == otherwise {
            return then;
        }
        let mut targets = [self.place(then), self.place(otherwise)];
        for target in &mut targets {
            if self.written.len() - *target > REACH {
                *target = self.jump_to(*target);
            }
        }
        let [jt, jf] = targets.map(|target| u8::try_from(self.written.len() - 1 - target).unwrap_or(u8::MAX));
        self.push(code, jt, jf, k)
    }

    /// The program, which begins at `first`.
    pub(super) fn finish(mut self, first: Label) -> Vec<Instruction> {
        let place = self.place(first);
        if place + 1 != self.written.len() {
            self.jump_to(place);
        }
        self.written.reverse();
        self.written
    }

    /// The place of a label; a return is written anew when the last one is too far away.
    fn place(&mut self, label: Label) -> usize {
        let value = match label {
            Label::At(place) => return place,
            Label::Return(value) => value,
        };
        if let Some((_, place)) = self.returns.iter().find(|(known, _)| *known == value)
            && self.written.len() - place <= REACH
        {
            return *place;
        }
        let place = self.written.len();
        self.push(RETURN, 0, 0, value);
        match self.returns.iter_mut().find(|(known, _)| *known == value) {
            Some(entry) => entry.1 = place,
            None => self.returns.push((value, place)),
        }
        place
    }

    fn jump_to(&mut self, target: usize) -> usize {
        let skipped = self.written.len() - 1 - target;
        self.push(JUMP, 0, 0, u32::try_from(skipped).unwrap_or(u32::MAX));
        self.written.len() - 1
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.written.push(Instruction { code, jt, jf, k });
        Label::At(self.written.len() - 1)
    }
}
