//! From a profile's rules to what each number of each table leads to.
//!
//! What counts where several rules are about one call was measured on libseccomp, for that is what profiles
//! are written against:
//! - a rule whose outcome is the default's says nothing;
//! - a rule without conditions beats all with conditions, wherever it stands; of several, the first;
//! - a rule that asks for more than an earlier one does, and the same beyond that, never comes to its turn;
//!   the same two in the other order, or two with equal conditions, contradict each other: an error;
//! - else the more specific one is asked first: more conditions, then equality before a mask before a range
//!   before an inequality, then the order in the file; of what one rule says about socketcall or ipc, that
//!   which it says outright comes before that which it implies by naming a call behind them.

use std::cmp::Reverse;

use super::SeccompError;
use super::arch::{Abi, X32_BIT};
use super::bpf::action_of;
use super::multiplex;
use super::numbers;
use super::profile::{Arg, Rule, Seccomp};
use super::words::{Action, Operator};

/// The largest error number that the kernel hands out (MAX_ERRNO).
const MAX_ERRNO: u32 = 4095;
const EPERM: u32 = 1;
/// Where x32's second numbers begin; ARM's private ones are far above.
const EXTRA: u32 = 512;

/// A condition on an argument; `value` is the mask of a masked comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) argument: u8,
    pub(super) operator: Operator,
    pub(super) value: u64,
    pub(super) value_two: u64,
}

/// Conditions that must all hold, and what follows then (SECCOMP_RET_* with its data).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alternative {
    pub(super) conditions: Vec<Condition>,
    pub(super) outcome: u32,
}

/// What a number leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Always this.
    Return(u32),
    /// That of the first alternative that holds, or the default: the place in [`Decisions::tests`].
    Test(usize),
}

/// What a profile says about one table.
pub(super) struct Table {
    pub(super) abi: Abi,
    /// The numbers that do not simply lead to the default, in order.
    pub(super) numbers: Vec<(u32, Outcome)>,
    /// The highest number that a rule is about, whatever it says, among those that are given out in order
    /// (not x32's and ARM's extra ones).
    pub(super) newest: Option<u32>,
}

/// A filter without names.
#[derive(Default)]
pub(super) struct Decisions {
    pub(super) tables: Vec<Table>,
    /// Lists of alternatives.
    pub(super) tests: Vec<Vec<Alternative>>,
}

/// An alternative on its way: with the rule it came from, and whether it stands for what a rule says about
/// another call.
struct Candidate {
    alternative: Alternative,
    rule: usize,
    implied: bool,
}

/// Checks a rule: the value it returns and its conditions.
pub(super) fn check(rule: &Rule, at: usize) -> Result<(u32, Vec<Condition>), SeccompError> {
    if rule.names.is_empty() {
        let expected = "a rule must name the system calls that it is about";
        return Err(SeccompError::value(format!("syscalls[{at}].names"), "empty", expected));
    }
    let outcome = outcome(&rule.action, rule.errno_ret, || {
        (format!("syscalls[{at}].action"), format!("syscalls[{at}].errnoRet"))
    })?;
    if rule.action == Action::Notify && rule.names.iter().any(|name| name == "write") {
        let expected = "write cannot wait for an answer, since asking takes one";
        return Err(SeccompError::value(format!("syscalls[{at}].action"), rule.action.as_str(), expected));
    }
    let conditions = rule.args.iter().enumerate().map(|(place, arg)| condition(arg, at, place));
    Ok((outcome, conditions.collect::<Result<_, _>>()?))
}

fn condition(arg: &Arg, at: usize, place: usize) -> Result<Condition, SeccompError> {
    let argument = u8::try_from(arg.index).ok().filter(|index| *index < 6).ok_or_else(|| {
        let path = format!("syscalls[{at}].args[{place}].index");
        SeccompError::value(path, arg.index, "a system call's arguments are numbered 0 to 5")
    })?;
    let (mut value, mut value_two) = (arg.value, 0);
    match &arg.op {
        Operator::Other(word) => {
            let expected = format!("it must be one of {}", Operator::WORDS.join(", "));
            return Err(SeccompError::value(format!("syscalls[{at}].args[{place}].op"), word, expected));
        }
        // Bits beside the mask are not compared.
        Operator::MaskedEqual => value_two = arg.value_two & value,
        _ => {}
    }
    let mut operator = arg.op.clone();
    if operator == Operator::MaskedEqual && value == u64::MAX {
        (operator, value, value_two) = (Operator::Equal, value_two, 0);
    }
    Ok(Condition { argument, operator, value, value_two })
}

/// The kernel's value for an action. `path` gives the places of the action and of the error number.
pub(super) fn outcome(
    action: &Action,
    errno: Option<u32>,
    path: impl Fn() -> (String, String),
) -> Result<u32, SeccompError> {
    if let Action::Other(word) = action {
        let expected = format!("it must be one of {}", Action::WORDS.join(", "));
        return Err(SeccompError::value(path().0, word, expected));
    }
    let data = match action {
        Action::Errno => errno.unwrap_or(EPERM),
        Action::Trace => errno.unwrap_or(0),
        _ if errno.is_some() => {
            let expected = format!("only ERRNO and TRACE carry a number, not {}", action.as_str());
            return Err(SeccompError::value(path().1, "given", expected));
        }
        _ => 0,
    };
    let most = if *action == Action::Trace { u32::from(u16::MAX) } else { MAX_ERRNO };
    if data > most {
        return Err(SeccompError::value(path().1, data, format!("it can be {most} at most")));
    }
    Ok(action_of(action) | data)
}

/// Decides for every number of these tables.
pub(super) fn decide(seccomp: &Seccomp, default: u32, abis: &[Abi]) -> Result<Decisions, SeccompError> {
    let mut candidates: Vec<Candidate> = Vec::with_capacity(128);
    // For each table, a number and below it the place of a candidate: sorting leaves those of one number in the
    // order of the file. And the newest number.
    let mut wanted: Vec<(Abi, Vec<u64>, Option<u32>)> =
        abis.iter().map(|abi| (*abi, Vec::with_capacity(512), None)).collect();
    let entry = |number: u32, candidate: usize| u64::from(number) << 32 | candidate as u64;
    for (at, rule) in seccomp.syscalls.iter().enumerate() {
        let (outcome, conditions) = check(rule, at)?;
        let silent = outcome == default;
        let extends = !silent && multiplex::extends(outcome, default, conditions.is_empty());
        let first = candidates.len();
        for conditions in apart(conditions) {
            let alternative = Alternative { conditions, outcome };
            candidates.push(Candidate { alternative, rule: at, implied: false });
        }
        let own = if silent { first..first } else { first..candidates.len() };
        for found in rule.names.iter().filter_map(|name| numbers::find(name)) {
            for (abi, list, newest) in &mut wanted {
                if let Some(number) = found.on(*abi) {
                    if number & !X32_BIT < EXTRA {
                        *newest = (*newest).max(Some(number));
                    }
                    list.extend(own.clone().map(|candidate| entry(number, candidate)));
                }
                if *abi == Abi::X86
                    && extends
                    && let Some(door) = found.behind_door()
                {
                    let (number, condition) = multiplex::companion(door);
                    list.push(entry(number, candidates.len()));
                    let alternative = Alternative { conditions: vec![condition], outcome };
                    candidates.push(Candidate { alternative, rule: at, implied: true });
                }
            }
        }
    }
    let mut decisions = Decisions::default();
    for (abi, mut list, newest) in wanted {
        list.sort_unstable();
        let mut decided = Vec::with_capacity(list.len());
        for group in list.chunk_by(|left, right| left >> 32 == right >> 32) {
            let Some(number) = group.first().and_then(|entry| u32::try_from(entry >> 32).ok()) else {
                continue;
            };
            let place = |entry: &u64| usize::try_from(entry & 0xffff_ffff).ok();
            let rules = group.iter().filter_map(|entry| candidates.get(place(entry)?));
            let outcome = decisions.settle(rules).map_err(|(rule, earlier)| SeccompError::Conflict {
                path: format!("syscalls[{rule}]"),
                other: format!("syscalls[{earlier}]"),
                name: name_in(seccomp, rule, abi, number),
            })?;
            decided.push((number, outcome));
        }
        decisions.tables.push(Table { abi, numbers: decided, newest });
    }
    Ok(decisions)
}

/// What a rule calls this number.
fn name_in(seccomp: &Seccomp, rule: usize, abi: Abi, number: u32) -> String {
    let mut names = seccomp.syscalls.get(rule).map(|rule| rule.names.iter()).into_iter().flatten();
    let named = names.find(|name| numbers::find(name).and_then(|numbers| numbers.on(abi)) == Some(number));
    named.map_or_else(|| format!("system call {number}"), ToString::to_string)
}

/// Conditions as rules of their own, where two are about the same argument.
fn apart(conditions: Vec<Condition>) -> Vec<Vec<Condition>> {
    let shared = conditions.iter().enumerate().any(|(at, condition)| {
        conditions.iter().take(at).any(|earlier| earlier.argument == condition.argument)
    });
    if shared { conditions.into_iter().map(|condition| vec![condition]).collect() } else { vec![conditions] }
}

impl Decisions {
    /// Which of the rules about one number counts, and in which order they are asked. The error is two rules
    /// that contradict each other, the later one first.
    fn settle<'a>(
        &mut self,
        rules: impl Iterator<Item = &'a Candidate> + Clone,
    ) -> Result<Outcome, (usize, usize)> {
        if let Some(always) = rules.clone().find(|rule| rule.alternative.conditions.is_empty()) {
            return Ok(Outcome::Return(always.alternative.outcome));
        }
        let mut kept: Vec<(&Candidate, u32)> = Vec::new();
        for rule in rules {
            let mut dead = false;
            for (earlier, outcome) in &mut kept {
                let covered = covers(earlier, rule);
                let covering = covers(rule, earlier);
                if covered && covering && (rule.implied || earlier.implied) {
                    // A rule about the multiplexer itself counts more than what others imply about it; of two
                    // implied ones, the stricter.
                    *outcome = match (earlier.implied, rule.implied) {
                        (true, true) => multiplex::stricter(*outcome, rule.alternative.outcome),
                        (true, false) => rule.alternative.outcome,
                        (false, _) => *outcome,
                    };
                } else if covering && *outcome != rule.alternative.outcome {
                    return Err((rule.rule, earlier.rule));
                }
                dead |= covered;
            }
            if !dead {
                kept.push((rule, rule.alternative.outcome));
            }
        }
        let mut alternatives: Vec<Alternative> = kept
            .into_iter()
            .map(|(rule, outcome)| Alternative { conditions: rule.alternative.conditions.clone(), outcome })
            .collect();
        alternatives.sort_by_key(|alternative| {
            let vagueness: u32 = alternative.conditions.iter().map(|one| vagueness(&one.operator)).sum();
            (Reverse(alternative.conditions.len()), vagueness)
        });
        let place = self.tests.iter().position(|known| *known == alternatives).unwrap_or_else(|| {
            self.tests.push(alternatives);
            self.tests.len() - 1
        });
        Ok(Outcome::Test(place))
    }
}

/// Whether one rule holds wherever the other does, as far as can be seen from equal conditions.
fn covers(wider: &Candidate, narrower: &Candidate) -> bool {
    let narrow = &narrower.alternative.conditions;
    wider.alternative.conditions.iter().all(|condition| narrow.contains(condition))
}

fn vagueness(operator: &Operator) -> u32 {
    match operator {
        Operator::Equal => 0,
        Operator::MaskedEqual => 1,
        Operator::NotEqual | Operator::Other(_) => 3,
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => 2,
    }
}
