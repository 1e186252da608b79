//! From decisions to a program: which table, which number, which arguments.
//!
//! The program first looks at the architecture (a table that is not allowed kills the process, since its
//! numbers mean something else), then finds the number by halving the list of ranges that lead to the same
//! outcome: some eight comparisons for 400 calls, where a comparison for each would be 400. It looks at
//! arguments last, and only for the calls whose rules do. For a number whose outcome depends on nothing
//! else, the kernel finds that out itself when the filter is installed (seccomp_cache_prepare, Linux 5.11)
//! and never runs the program for it again, if it is allowed.

use super::arch::{Abi, Arch, X32_BIT};
use super::bpf::{
    AND, ARCHITECTURE, ARGUMENTS, Assembler, IF_EQUAL, IF_GREATER, IF_NOT_LESS, Instruction, KILL_PROCESS,
    LOAD, Label, MAX_INSTRUCTIONS, NUMBER,
};
use super::profile::Seccomp;
use super::rules::{Alternative, Condition, Decisions, Outcome, Table, decide, outcome};
use super::words::{Action, Architecture, Flag, Operator};
use super::{Program, SeccompError};

/// How many numbers there can be.
const NUMBERS: u64 = 1 << 32;

/// SECCOMP_RET_ERRNO | ENOSYS.
const ENOSYS: u32 = 0x0005_0026;
const ALLOW: u32 = 0x7fff_0000;
const LOG_CALL: u32 = 0x7ffc_0000;
const TRACE: u32 = 0x7ff0_0000;

const TSYNC: u32 = 1;
const LOG: u32 = 1 << 1;
const SPEC_ALLOW: u32 = 1 << 2;
pub(super) const NEW_LISTENER: u32 = 1 << 3;
const TSYNC_ESRCH: u32 = 1 << 4;
const WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// Compiles a profile for a machine.
///
/// Calls through the machine's own table are always decided by the profile; those through the tables of
/// its other programs only if `architectures` names them, else they kill.
///
/// Calls that are newer than any that the profile mentions fail with ENOSYS, unless its default lets them
/// through: whoever wrote it did not know them, and a libc that tries one must learn that it is not there,
/// and take the older way, instead of failing or dying. OCI's runc does the same.
///
/// # Errors
/// [`SeccompError::Value`] for what the profile must not say, with the place; [`SeccompError::Conflict`];
/// [`SeccompError::TooLong`].
pub fn compile(seccomp: &Seccomp, arch: Arch) -> Result<Program, SeccompError> {
    let default = outcome(&seccomp.default_action, seccomp.default_errno_ret, || {
        ("defaultAction".into(), "defaultErrnoRet".into())
    })?;
    if seccomp.default_action == Action::Notify {
        let expected = "the calls by which an answer comes cannot wait for one";
        return Err(SeccompError::value("defaultAction", Action::Notify.as_str(), expected));
    }
    for (at, word) in seccomp.architectures.iter().enumerate() {
        if let Architecture::Other(word) = word {
            let expected = format!("it must be one of {}", Architecture::WORDS.join(", "));
            return Err(SeccompError::value(format!("architectures[{at}]"), word, expected));
        }
    }
    let own = arch.abis().first();
    let abis: Vec<Abi> = arch
        .abis()
        .iter()
        .filter(|abi| Some(*abi) == own || seccomp.architectures.contains(&abi.architecture()))
        .copied()
        .collect();
    let decisions = decide(seccomp, default, &abis)?;
    let flags = flags(seccomp)?;
    let instructions = assemble(&decisions, default);
    if instructions.len() > MAX_INSTRUCTIONS {
        return Err(SeccompError::TooLong { instructions: instructions.len() });
    }
    Ok(Program { instructions, flags })
}

fn bit(flag: &Flag) -> u32 {
    match flag {
        Flag::Tsync => TSYNC,
        Flag::Log => LOG,
        Flag::SpecAllow => SPEC_ALLOW,
        Flag::WaitKillableRecv => WAIT_KILLABLE_RECV,
        Flag::Other(_) => 0,
    }
}

/// Whether this kernel takes filters with the flag.
pub fn supported(flag: &Flag) -> bool {
    let along = if *flag == Flag::WaitKillableRecv { NEW_LISTENER } else { 0 };
    bit(flag) != 0 && bulkhead_sys::seccomp::takes(bit(flag) | along)
}

fn flags(seccomp: &Seccomp) -> Result<u32, SeccompError> {
    let mut bits = 0;
    match &seccomp.flags {
        // Not asking for SPEC_ALLOW slows the whole process down on kernels before 5.16, which is why OCI
        // runtimes ask for it unless the profile says otherwise.
        None => bits |= SPEC_ALLOW,
        Some(words) => {
            for (at, word) in words.iter().enumerate() {
                bits |= match word {
                    Flag::Other(word) => {
                        let expected = format!("it must be one of {}", Flag::WORDS.join(", "));
                        return Err(SeccompError::value(format!("flags[{at}]"), word, expected));
                    }
                    known => bit(known),
                };
            }
        }
    }
    if seccomp.syscalls.iter().any(|rule| rule.action == Action::Notify) {
        if seccomp.listener_path.as_deref().unwrap_or_default().is_empty() {
            let expected = "a rule with SCMP_ACT_NOTIFY needs a socket that answers";
            return Err(SeccompError::value("listenerPath", "empty", expected));
        }
        bits |= NEW_LISTENER;
        if bits & TSYNC != 0 {
            // Both results would be positive numbers; this one makes a failure an error.
            bits |= TSYNC_ESRCH;
        }
    } else if bits & WAIT_KILLABLE_RECV != 0 {
        // The kernel takes it only along with a listener; without one there is nothing to wait for.
        bits &= !WAIT_KILLABLE_RECV;
    }
    Ok(bits)
}

fn assemble(decisions: &Decisions, default: u32) -> Vec<Instruction> {
    let mut assembler = Assembler::default();
    let mut next = Label::Return(KILL_PROCESS);
    // From the end: the native table comes last and so stands first.
    for table in decisions.tables.iter().rev().filter(|table| table.abi != Abi::X32) {
        let abi = table.abi;
        let mut ranges = Ranges::default();
        ranges.add(table, default);
        if abi == Abi::X86_64 {
            ranges.unsaid(table, default, u64::from(X32_BIT));
            match decisions.tables.iter().find(|other| other.abi == Abi::X32) {
                Some(x32) => {
                    ranges.add(x32, default);
                    ranges.unsaid(x32, default, NUMBERS - 1);
                }
                None => ranges.push(X32_BIT, Outcome::Return(KILL_PROCESS)),
            }
            // Not x32, but what a program that tries out `syscall(-1)`, or a tracer that cancels a call, has
            // there.
            ranges.open = NUMBERS - 1;
        }
        ranges.unsaid(table, default, NUMBERS);
        let mut tree = Tree {
            blocks: vec![None; decisions.tests.len()],
            narrow: abi.has_32_bits(),
            assembler: &mut assembler,
            decisions,
            default,
        };
        let search = tree.search(&ranges.starts);
        let table = assembler.step(LOAD, NUMBER, search);
        next = assembler.test(IF_EQUAL, abi.audit(), table, next);
    }
    let first = assembler.step(LOAD, ARCHITECTURE, next);
    assembler.finish(first)
}

/// All numbers, as ranges: each begins at its number and ends where the next begins.
#[derive(Default)]
struct Ranges {
    starts: Vec<(u32, Outcome)>,
    /// The first number that has no range yet; beyond all numbers at the end.
    open: u64,
}

impl Ranges {
    fn add(&mut self, table: &Table, default: u32) {
        for (number, outcome) in &table.numbers {
            self.unsaid(table, default, u64::from(*number));
            self.push(*number, *outcome);
            self.open = u64::from(*number) + 1;
        }
    }

    /// Numbers that no rule is about, from the first open one to before `end`.
    fn unsaid(&mut self, table: &Table, default: u32, end: u64) {
        let newer = table.newest.map_or(NUMBERS, |newest| u64::from(newest) + 1);
        let unknown = if is_permissive(default) { default } else { ENOSYS };
        for (start, end, outcome) in
            [(self.open, end.min(newer), default), (self.open.max(newer), end, unknown)]
        {
            if let Ok(first) = u32::try_from(start)
                && start < end
            {
                self.push(first, Outcome::Return(outcome));
            }
        }
        self.open = self.open.max(end);
    }

    fn push(&mut self, start: u32, outcome: Outcome) {
        if self.starts.last().is_none_or(|(_, last)| *last != outcome) {
            self.starts.push((start, outcome));
        }
    }
}

/// Whether calls go through that nobody has thought of.
fn is_permissive(default: u32) -> bool {
    matches!(default & 0xffff_0000, ALLOW | LOG_CALL | TRACE)
}

/// Writes one table's search.
struct Tree<'a> {
    assembler: &'a mut Assembler,
    decisions: &'a Decisions,
    default: u32,
    narrow: bool,
    /// Where each list of alternatives has been written for this table.
    blocks: Vec<Option<Label>>,
}

impl Tree<'_> {
    fn search(&mut self, ranges: &[(u32, Outcome)]) -> Label {
        match ranges {
            [] => Label::Return(self.default),
            [(_, outcome)] => self.leaf(*outcome),
            // One number amid a range: a test for equality instead of two for order.
            [(_, around), (number, outcome), (end, same)] if around == same && number + 1 == *end => {
                let around = self.leaf(*around);
                let alone = self.leaf(*outcome);
                self.assembler.test(IF_EQUAL, *number, alone, around)
            }
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let middle = high.first().map_or(0, |(start, _)| *start);
                let high = self.search(high);
                let low = self.search(low);
                self.assembler.test(IF_NOT_LESS, middle, high, low)
            }
        }
    }

    fn leaf(&mut self, outcome: Outcome) -> Label {
        let place = match outcome {
            Outcome::Return(value) => return Label::Return(value),
            Outcome::Test(place) => place,
        };
        if let Some(Some(written)) = self.blocks.get(place) {
            return *written;
        }
        let alternatives = self.decisions.tests.get(place).map(Vec::as_slice).unwrap_or_default();
        let mut next = Label::Return(self.default);
        for group in gather(alternatives).into_iter().rev() {
            next = match group {
                Group::Values { argument, upper, values, outcome } => {
                    self.one_of(argument, upper, &values, Label::Return(outcome), next)
                }
                Group::Alternative(alternative) => {
                    let mut then = Label::Return(alternative.outcome);
                    for condition in alternative.conditions.iter().rev() {
                        then = self.condition(condition, then, next);
                    }
                    then
                }
            };
        }
        if let Some(block) = self.blocks.get_mut(place) {
            *block = Some(next);
        }
        next
    }

    /// Loads a half of an argument; what follows finds it in the accumulator.
    fn load(&mut self, argument: u8, upper: bool, next: Label) -> Label {
        let offset = ARGUMENTS + 8 * u32::from(argument) + if upper { 4 } else { 0 };
        self.assembler.step(LOAD, offset, next)
    }

    /// Whether an argument is one of the values with this upper half and these lower ones.
    fn one_of(&mut self, argument: u8, upper: u32, values: &[u32], then: Label, otherwise: Label) -> Label {
        let mut next = otherwise;
        for value in values.iter().rev() {
            next = self.assembler.test(IF_EQUAL, *value, then, next);
        }
        next = self.load(argument, false, next);
        if self.narrow {
            return next;
        }
        next = self.assembler.test(IF_EQUAL, upper, next, otherwise);
        self.load(argument, true, next)
    }

    fn condition(&mut self, condition: &Condition, then: Label, otherwise: Label) -> Label {
        let Condition { argument, operator, value, value_two } = condition;
        let (upper, lower) = halves(*value);
        match operator {
            Operator::Equal => self.one_of(*argument, upper, &[lower], then, otherwise),
            Operator::NotEqual => self.one_of(*argument, upper, &[lower], otherwise, then),
            Operator::Greater => self.order(*argument, *value, IF_GREATER, then, otherwise),
            Operator::LessOrEqual => self.order(*argument, *value, IF_GREATER, otherwise, then),
            Operator::GreaterOrEqual => self.order(*argument, *value, IF_NOT_LESS, then, otherwise),
            Operator::Less => self.order(*argument, *value, IF_NOT_LESS, otherwise, then),
            Operator::MaskedEqual => {
                let (wanted_upper, wanted_lower) = halves(*value_two);
                let mut next = self.assembler.test(IF_EQUAL, wanted_lower, then, otherwise);
                next = self.assembler.step(AND, lower, next);
                next = self.load(*argument, false, next);
                if self.narrow || upper == 0 {
                    return next;
                }
                next = self.assembler.test(IF_EQUAL, wanted_upper, next, otherwise);
                next = self.assembler.step(AND, upper, next);
                self.load(*argument, true, next)
            }
            // Checked before: nothing unknown comes here, and if it did, it would not hold.
            Operator::Other(_) => otherwise,
        }
    }

    /// Whether an argument is greater than a value (or not less), by its upper half unless that is equal.
    fn order(&mut self, argument: u8, value: u64, lower_test: u16, then: Label, otherwise: Label) -> Label {
        let (upper, lower) = halves(value);
        if self.narrow && upper != 0 {
            // A 32-bit argument is less than that.
            return otherwise;
        }
        let mut next = self.assembler.test(lower_test, lower, then, otherwise);
        next = self.load(argument, false, next);
        if self.narrow {
            return next;
        }
        next = self.assembler.test(IF_EQUAL, upper, next, otherwise);
        next = self.assembler.test(IF_GREATER, upper, then, next);
        self.load(argument, true, next)
    }
}

/// Alternatives as they are written.
enum Group<'a> {
    /// Neighbours that compare the same argument with values of the same upper half: loaded once for all.
    Values {
        argument: u8,
        upper: u32,
        values: Vec<u32>,
        outcome: u32,
    },
    Alternative(&'a Alternative),
}

fn gather(alternatives: &[Alternative]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for alternative in alternatives {
        let [Condition { argument, operator: Operator::Equal, value, .. }] =
            alternative.conditions.as_slice()
        else {
            groups.push(Group::Alternative(alternative));
            continue;
        };
        let (upper, lower) = halves(*value);
        match groups.last_mut() {
            Some(Group::Values { argument: last, upper: same, values, outcome })
                if last == argument && *same == upper && *outcome == alternative.outcome =>
            {
                values.push(lower);
            }
            _ => groups.push(Group::Values {
                argument: *argument,
                upper,
                values: vec![lower],
                outcome: alternative.outcome,
            }),
        }
    }
    groups
}

#[expect(clippy::cast_possible_truncation, reason = "the halves are wanted")]
fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}
