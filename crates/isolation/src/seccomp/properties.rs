//! For any profile and any call, the compiled program decides as a reader of the profile would: one who looks
//! the call up in the rules, one after the other, and knows no BPF.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::arch::{Abi, Arch, X32_BIT};
use super::interpreter::{Call, Raw, check, run};
use super::numbers::find;
use super::{Action, Arg, Operator, Program, Rule, Seccomp, SeccompError, compile, default_policy};

const ABIS: [Abi; 6] = [Abi::X86_64, Abi::X32, Abi::X86, Abi::Aarch64, Abi::Arm, Abi::Riscv64];
const POOL: [&str; 17] = [
    "read",
    "write",
    "open",
    "openat",
    "ioctl",
    "socket",
    "bind",
    "send",
    "socketcall",
    "semget",
    "ipc",
    "waitpid",
    "clone",
    "newfstatat",
    "set_tls",
    "execve",
    "no_such_call",
];
const EDGES: [u64; 12] =
    [0, 1, 2, 3, 10, 0xffff, 0x1_0002, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0002, 0x2_0000_0001, u64::MAX];
const KILL_PROCESS: u32 = 0x8000_0000;

fn value_of(action: &Action, errno: Option<u32>) -> u32 {
    let (base, usual) = match action {
        Action::Errno => (0x0005_0000, 1),
        Action::Trace => (0x7ff0_0000, 0),
        Action::Kill | Action::KillThread => (0, 0),
        Action::KillProcess => (KILL_PROCESS, 0),
        Action::Trap => (0x0003_0000, 0),
        Action::Notify => (0x7fc0_0000, 0),
        Action::Log => (0x7ffc_0000, 0),
        Action::Allow => (0x7fff_0000, 0),
        Action::Other(word) => panic!("{word}"),
    };
    base | errno.unwrap_or(usual)
}

/// Operator, argument, value, second value: comparable, and with one form for one meaning.
type Plain = (String, i64, u64, u64);

fn plain(arg: &Arg) -> Plain {
    let (op, value, two) = match arg.op {
        Operator::MaskedEqual if arg.value == u64::MAX => (Operator::Equal, arg.value_two, 0),
        Operator::MaskedEqual => (Operator::MaskedEqual, arg.value, arg.value_two & arg.value),
        _ => (arg.op.clone(), arg.value, 0),
    };
    (op.as_str().into(), arg.index, value, two)
}

fn holds((op, index, value, two): &Plain, args: &[u64; 6], narrow: bool) -> bool {
    let cut = |word: u64| if narrow { word & 0xffff_ffff } else { word };
    let argument = cut(args[usize::try_from(*index).unwrap()]);
    match op.as_str() {
        "SCMP_CMP_EQ" => argument == cut(*value),
        "SCMP_CMP_NE" => argument != cut(*value),
        "SCMP_CMP_LT" => argument < *value,
        "SCMP_CMP_LE" => argument <= *value,
        "SCMP_CMP_GT" => argument > *value,
        "SCMP_CMP_GE" => argument >= *value,
        _ => argument & cut(*value) == cut(*two),
    }
}

/// socketcall's and ipc's number for a call that they lead to (linux/net.h, linux/ipc.h).
fn behind(name: &str) -> Option<(u32, Plain)> {
    let socket = "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom \
                  shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg";
    let ipc = "- semop semget semctl semtimedop - - - - - - msgsnd msgrcv msgget msgctl - - - - - - shmat shmdt \
               shmget shmctl";
    if let Some((call, _)) = (1..).zip(socket.split_whitespace()).find(|(_, known)| *known == name) {
        return Some((102, ("SCMP_CMP_EQ".to_owned(), 0, call, 0)));
    }
    let (call, _) = (0..).zip(ipc.split_whitespace()).find(|(_, known)| *known == name)?;
    Some((117, ("SCMP_CMP_MASKED_EQ".to_owned(), 0, 0xffff, call)))
}

/// What a call leads to, read off the profile.
fn expected(seccomp: &Seccomp, arch: Arch, call: &Call) -> u32 {
    let default = value_of(&seccomp.default_action, seccomp.default_errno_ret);
    let x32 = call.number >= X32_BIT && call.number != u32::MAX;
    let here =
        |abi: &&Abi| abi.audit() == call.arch && (call.arch != 0xc000_003e || (**abi == Abi::X32) == x32);
    let Some((at, abi)) = arch.abis().iter().enumerate().find(|(_, abi)| here(abi)) else {
        return KILL_PROCESS;
    };
    if at > 0 && !seccomp.architectures.contains(&abi.architecture()) {
        return KILL_PROCESS;
    }
    let mentioned = seccomp.syscalls.iter().flat_map(|rule| &rule.names);
    let numbers = mentioned.filter_map(|name| find(name)?.on(*abi));
    let newest = numbers.filter(|number| number & !X32_BIT < 512).max();
    let lets_through = matches!(seccomp.default_action, Action::Allow | Action::Log | Action::Trace);
    let unsaid = if !lets_through && newest.is_some_and(|newest| call.number > newest) {
        0x0005_0026
    } else {
        default
    };
    // (conditions, outcome, implied), in order.
    let mut rules: Vec<(Vec<Plain>, u32, bool)> = Vec::new();
    for rule in &seccomp.syscalls {
        let outcome = value_of(&rule.action, rule.errno_ret);
        if outcome == default {
            continue;
        }
        let conditions: Vec<Plain> = rule.args.iter().map(plain).collect();
        let doubled = (0..6).any(|index| conditions.iter().filter(|one| one.1 == index).count() > 1);
        for name in &rule.names {
            if find(name).and_then(|numbers| numbers.on(*abi)) == Some(call.number) {
                if doubled {
                    rules.extend(conditions.iter().map(|one| (vec![one.clone()], outcome, false)));
                } else {
                    rules.push((conditions.clone(), outcome, false));
                }
            }
        }
        // What a rule says outright comes before what it implies, in whichever order it has the names.
        for name in &rule.names {
            if *abi == Abi::X86
                && let Some((number, condition)) = behind(name)
                && number == call.number
                && (conditions.is_empty() || rank(outcome) <= rank(default))
            {
                rules.push((vec![condition], outcome, true));
            }
        }
    }
    if rules.is_empty() {
        return unsaid;
    }
    if let Some((_, outcome, _)) = rules.iter().find(|rule| rule.0.is_empty()) {
        return *outcome;
    }
    let narrow = abi.has_32_bits();
    let mut matching: Vec<&(Vec<Plain>, u32, bool)> =
        rules.iter().filter(|rule| rule.0.iter().all(|one| holds(one, &call.args, narrow))).collect();
    // Among those with the same conditions: what is said outright, else the strictest.
    let equal = |left: &[Plain], right: &[Plain]| {
        left.iter().all(|one| right.contains(one)) && right.iter().all(|one| left.contains(one))
    };
    let all = matching.clone();
    matching.retain(|rule| !rule.2 || !all.iter().any(|other| !other.2 && equal(&other.0, &rule.0)));
    // A rule that a less demanding one covers is not asked.
    let all = matching.clone();
    matching.retain(|rule| {
        !all.iter()
            .any(|other| other.0.len() < rule.0.len() && other.0.iter().all(|one| rule.0.contains(one)))
    });
    let vague = |rule: &[Plain]| -> u32 {
        let one = |op: &str| match op {
            "SCMP_CMP_EQ" => 0,
            "SCMP_CMP_MASKED_EQ" => 1,
            "SCMP_CMP_NE" => 3,
            _ => 2,
        };
        rule.iter().map(|plain| one(&plain.0)).sum()
    };
    let first = matching.iter().min_by_key(|rule| (std::cmp::Reverse(rule.0.len()), vague(&rule.0)));
    match first {
        None => default,
        Some(rule) if rule.2 => {
            let same = matching.iter().filter(|other| other.2 && equal(&other.0, &rule.0));
            same.map(|other| other.1).min_by_key(|outcome| rank(*outcome)).unwrap()
        }
        Some(rule) => rule.1,
    }
}

/// The kernel's order of actions, the strictest first.
fn rank(outcome: u32) -> usize {
    let order =
        [KILL_PROCESS, 0, 0x0003_0000, 0x0005_0000, 0x7fc0_0000, 0x7ff0_0000, 0x7ffc_0000, 0x7fff_0000];
    order.iter().position(|action| *action == outcome & 0xffff_0000).unwrap()
}

fn action() -> impl Strategy<Value = (Action, Option<u32>)> {
    let without = select(vec![Action::Allow, Action::Kill, Action::KillProcess, Action::Trap, Action::Log]);
    prop_oneof![
        without.prop_map(|action| (action, None)),
        prop::option::of(0u32..50).prop_map(|errno| (Action::Errno, errno)),
        Just((Action::Trace, Some(7))),
    ]
}

fn arg() -> impl Strategy<Value = Arg> {
    let operators = vec![
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Equal,
        Operator::GreaterOrEqual,
        Operator::Greater,
        Operator::MaskedEqual,
    ];
    (0i64..6, select(EDGES.to_vec()), select(EDGES.to_vec()), select(operators))
        .prop_map(|(index, value, value_two, op)| Arg { index: index / 2, value, value_two, op })
}

fn name() -> impl Strategy<Value = Cow<'static, str>> {
    let others: Vec<&'static str> = syscalls::x86_64::Sysno::iter().map(|call| call.name()).collect();
    prop_oneof![3 => select(POOL.to_vec()), 1 => select(others)].prop_map(Cow::Borrowed)
}

fn profile() -> impl Strategy<Value = Seccomp> {
    let rule = (vec(name(), 1..12), action(), vec(arg(), 0..4))
        .prop_map(|(names, (action, errno_ret), args)| Rule { names, action, errno_ret, args });
    let tables = ABIS.iter().map(|abi| abi.architecture()).collect::<Vec<_>>();
    (action(), vec(rule, 0..12), prop::sample::subsequence(tables, 0..=6)).prop_map(
        |((default_action, default_errno_ret), syscalls, architectures)| Seccomp {
            default_action,
            default_errno_ret,
            architectures,
            flags: None,
            listener_path: None,
            listener_metadata: None,
            syscalls,
        },
    )
}

fn call() -> impl Strategy<Value = Call> {
    let known = (select(POOL.to_vec()), select(ABIS.to_vec()), -1i64..=1).prop_map(|(name, abi, beside)| {
        let number = find(name).and_then(|numbers| numbers.on(abi)).unwrap_or(7);
        (abi.audit(), u32::try_from((i64::from(number) + beside).max(0)).unwrap())
    });
    let doors = select(vec![(Abi::X86.audit(), 102), (Abi::X86.audit(), 117)]);
    let tables = ABIS.iter().map(|abi| abi.audit()).chain([0, 0x8000_0015]).collect::<Vec<_>>();
    let numbers = prop_oneof![0u32..600, (X32_BIT - 2)..(X32_BIT + 600), Just(u32::MAX), any::<u32>()];
    let target = prop_oneof![4 => known, 1 => doors, 2 => (select(tables), numbers)];
    (target, prop::array::uniform6(select(EDGES.to_vec()))).prop_map(|((arch, number), args)| Call {
        arch,
        number,
        args,
    })
}

fn raw(program: &Program) -> Vec<Raw> {
    program.instructions.iter().map(|one| (one.code, one.jt, one.jf, one.k)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn a_program_decides_as_its_profile_reads(
        seccomp in profile(),
        arch in select(Arch::ALL.to_vec()),
        calls in vec(call(), 1..60),
    ) {
        let program = match compile(&seccomp, arch) {
            Ok(program) => raw(&program),
            Err(SeccompError::Conflict { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        check(&program);
        for call in calls {
            let (outcome, _) = run(&program, &call);
            prop_assert_eq!(outcome, expected(&seccomp, arch, &call), "{:x?}", call);
        }
    }

    #[test]
    fn a_program_survives_storage(seccomp in profile()) {
        if let Ok(program) = compile(&seccomp, Arch::X86_64) {
            prop_assert_eq!(&Program::from_bytes(&program.to_bytes(), program.flags).unwrap(), &program);
            let json = serde_json::to_string(&program).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Program>(&json).unwrap(), &program);
        }
    }
}

proptest! {
    // Fewer: each case reads the long list of the policy for every call.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn the_default_policy_decides_as_it_reads(
        capabilities in prop::sample::subsequence(vec!["CAP_SYS_ADMIN", "cap_bpf", "SYSLOG", "CAP_SYS_TIME"], 0..=4),
        kernel in select(vec![(4, 4), (4, 8), (6, 18)]),
        arch in select(Arch::ALL.to_vec()),
        calls in vec(call(), 1..60),
    ) {
        let policy = default_policy(&capabilities, kernel);
        let program = raw(&compile(&policy, arch).unwrap());
        check(&program);
        for call in calls {
            let (outcome, steps) = run(&program, &call);
            prop_assert_eq!(outcome, expected(&policy, arch, &call), "{:x?}", call);
            prop_assert!(steps <= 60, "{} instructions for {:x?}", steps, call);
        }
    }
}

/// Every call of every table in a list without two neighbours alike: the longest program, whose jumps go far.
#[test]
fn far_jumps_arrive() {
    let rule = |name: &'static str, errno: u32| Rule {
        names: vec![Cow::Borrowed(name)],
        action: Action::Errno,
        errno_ret: Some(errno),
        args: Vec::new(),
    };
    let names: Vec<&'static str> = syscalls::x86_64::Sysno::iter().map(|call| call.name()).collect();
    let seccomp = Seccomp {
        syscalls: names.iter().zip(0..).map(|(name, at)| rule(name, at)).collect(),
        ..default_policy::<&str>(&[], (6, 1))
    };
    let program = raw(&compile(&seccomp, Arch::X86_64).unwrap());
    check(&program);
    for number in (0..600).chain(X32_BIT..X32_BIT + 600) {
        for arch in [Abi::X86_64, Abi::X86] {
            let call = Call { arch: arch.audit(), number, args: [1; 6] };
            assert_eq!(run(&program, &call).0, expected(&seccomp, Arch::X86_64, &call), "{call:x?}");
        }
    }
}

/// A rule about semget and ipc at once, and one that implies something stricter about the same ipc call.
#[test]
fn what_is_said_outright_comes_before_what_is_implied() {
    let rule = |names: &[&'static str], action, args| Rule {
        names: names.iter().map(|name| Cow::Borrowed(*name)).collect(),
        action,
        errno_ret: None,
        args,
    };
    let bit = Arg { index: 0, value: 2, value_two: 2, op: Operator::MaskedEqual };
    let mut seccomp = default_policy::<&str>(&[], (6, 1));
    for names in [["semget", "ipc"], ["ipc", "semget"]] {
        seccomp.syscalls =
            vec![rule(&names, Action::Trap, vec![bit.clone()]), rule(&["semget"], Action::Kill, Vec::new())];
        let program = raw(&compile(&seccomp, Arch::X86_64).unwrap());
        let call = Call { arch: Abi::X86.audit(), number: 117, args: [2, 0, 0, 0, 0, 0] };
        assert_eq!(run(&program, &call).0, 0x0003_0000);
        assert_eq!(expected(&seccomp, Arch::X86_64, &call), 0x0003_0000);
    }
}
