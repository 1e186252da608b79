//! Profiles as people write them: what they mean for a container, and what they are told when one is wrong.

#![allow(clippy::unwrap_used)]

#[path = "../src/seccomp/interpreter.rs"]
mod interpreter;

use bulkhead_isolation::seccomp::{
    Action, Arch, DockerProfile, Program, Seccomp, SeccompError, compile, default_policy, kernel_version,
};
use interpreter::{Call, Raw, check, run};

const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;
const AARCH64: u32 = 0xc000_00b7;
const X32: u32 = 0x4000_0000;

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = ERRNO | 1;
const ENOSYS: u32 = ERRNO | 38;

/// A program, and what it says to a call.
struct Filter(Vec<Raw>);

impl Filter {
    fn of(program: &Program) -> Filter {
        let program: Vec<Raw> =
            program.instructions.iter().map(|one| (one.code, one.jt, one.jf, one.k)).collect();
        check(&program);
        Filter(program)
    }

    fn docker(json: &str) -> Filter {
        let profile: DockerProfile = serde_json::from_str(json).unwrap();
        let seccomp = profile.resolve::<&str>(&[], Arch::X86_64, (6, 1)).unwrap();
        Filter::of(&compile(&seccomp, Arch::X86_64).unwrap())
    }

    fn standard(capabilities: &[&str]) -> Filter {
        Filter::of(&compile(&default_policy(capabilities, (6, 1)), Arch::X86_64).unwrap())
    }

    fn says(&self, arch: u32, number: u32, args: &[u64]) -> u32 {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        run(&self.0, &Call { arch, number, args: all }).0
    }
}

fn refused(json: &str) -> String {
    let profile: DockerProfile = serde_json::from_str(json).unwrap();
    let seccomp = profile.resolve::<&str>(&[], Arch::X86_64, (6, 1));
    seccomp.and_then(|seccomp| compile(&seccomp, Arch::X86_64)).unwrap_err().to_string()
}

#[test]
fn a_profile_that_allows_all() {
    let filter = Filter::docker(r#"{ "defaultAction": "SCMP_ACT_ALLOW" }"#);
    assert_eq!(filter.says(X86_64, 165, &[]), ALLOW);
    assert_eq!(filter.says(X86_64, 100_000, &[]), ALLOW);
    // Tables that it does not name are closed all the same: nobody looked at their numbers.
    assert_eq!(filter.says(X86, 21, &[]), KILL_PROCESS);
    assert_eq!(filter.says(X86_64, X32 | 165, &[]), KILL_PROCESS);
    assert_eq!(filter.says(X86_64, u32::MAX, &[]), ALLOW, "syscall(-1) is not x32");
}

#[test]
fn a_profile_that_denies_chmod() {
    let filter = Filter::docker(
        r#"{
            "defaultAction": "SCMP_ACT_ALLOW",
            "archMap": [
                { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
                { "architecture": "SCMP_ARCH_S390X", "subArchitectures": null }
            ],
            "syscalls": [
                { "names": ["chmod", "fchmod", "fchmodat", "fchmodat3"], "action": "SCMP_ACT_ERRNO", "args": null },
                { "name": "mkdir", "action": "SCMP_ACT_ERRNO", "errnoRet": 30, "comment": "read-only" }
            ]
        }"#,
    );
    for (arch, chmod, fchmodat, mkdir, read) in
        [(X86_64, 90, 268, 83, 0), (X86, 15, 306, 39, 3), (X86_64, X32 | 90, X32 | 268, X32 | 83, X32)]
    {
        assert_eq!(filter.says(arch, chmod, &[]), EPERM);
        assert_eq!(filter.says(arch, fchmodat, &[]), EPERM);
        assert_eq!(filter.says(arch, mkdir, &[]), ERRNO | 30);
        assert_eq!(filter.says(arch, read, &[]), ALLOW);
    }
}

#[test]
fn conditions_and_alternatives() {
    let filter = Filter::docker(
        r#"{
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13,
            "syscalls": [
                { "names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": [
                    { "index": 0, "value": 3, "op": "SCMP_CMP_LT" },
                    { "index": 1, "value": 4294967295, "valueTwo": 21505, "op": "SCMP_CMP_MASKED_EQ" } ] },
                { "names": ["kill"], "action": "SCMP_ACT_TRAP", "args": [
                    { "index": 1, "value": 9, "op": "SCMP_CMP_EQ" },
                    { "index": 1, "value": 15, "op": "SCMP_CMP_EQ" } ] }
            ]
        }"#,
    );
    assert_eq!(filter.says(X86_64, 16, &[2, 0x5401]), ALLOW);
    assert_eq!(filter.says(X86_64, 16, &[2, 0xff_0000_5401]), ALLOW);
    assert_eq!(filter.says(X86_64, 16, &[3, 0x5401]), ERRNO | 13);
    assert_eq!(filter.says(X86_64, 16, &[2, 0x5412]), ERRNO | 13);
    // Two conditions on one argument cannot both be meant: either will do, as in runc.
    assert_eq!(filter.says(X86_64, 62, &[1, 9]), 0x0003_0000);
    assert_eq!(filter.says(X86_64, 62, &[1, 15]), 0x0003_0000);
    assert_eq!(filter.says(X86_64, 62, &[1, 1]), ERRNO | 13);
}

#[test]
fn rules_for_some_containers_only() {
    let json = r#"{
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            { "names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": { "caps": ["CAP_SYS_ADMIN"] } },
            { "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": { "caps": ["CAP_SYS_ADMIN"] } },
            { "names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": { "minKernel": "4.8" } },
            { "names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": { "arches": ["amd64", "x32"] } },
            { "names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {}, "excludes": { "arches": ["arm64"] } }
        ]
    }"#;
    let profile: DockerProfile = serde_json::from_str(json).unwrap();
    let names = |capabilities: &[&str], arch, kernel| {
        let seccomp = profile.resolve(capabilities, arch, kernel).unwrap();
        seccomp.syscalls.iter().flat_map(|rule| rule.names.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&[], Arch::X86_64, (6, 1)), "clone3 ptrace arch_prctl read");
    assert_eq!(names(&["CAP_SYS_ADMIN"], Arch::X86_64, (4, 8)), "mount ptrace arch_prctl read");
    assert_eq!(names(&["CAP_SYS_ADMIN"], Arch::Aarch64, (4, 7)), "mount");
    assert_eq!(names(&["CAP_CHOWN"], Arch::Riscv64, (10, 0)), "clone3 ptrace read");
}

#[test]
fn which_of_two_rules_counts() {
    let rules = |rules: &str| {
        Filter::docker(&format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{rules}]}}"#))
    };
    let allow_0 =
        r#"{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":0,"op":"SCMP_CMP_EQ"}]}"#;
    let trap = r#"{"names":["read"],"action":"SCMP_ACT_TRAP"}"#;
    let refuse = r#"{"names":["read"],"action":"SCMP_ACT_ERRNO"}"#;
    let trap_below = allow_0
        .replace("ALLOW", "TRAP")
        .replace(r#""value":0,"op":"SCMP_CMP_EQ""#, r#""value":9,"op":"SCMP_CMP_LT""#);
    for both in [format!("{allow_0},{trap}"), format!("{trap},{allow_0}")] {
        assert_eq!(rules(&both).says(X86_64, 0, &[0]), 0x0003_0000, "without conditions it counts always");
    }
    for both in [format!("{allow_0},{refuse}"), format!("{refuse},{allow_0}")] {
        assert_eq!(rules(&both).says(X86_64, 0, &[0]), ALLOW, "the default said again says nothing");
    }
    for both in [format!("{allow_0},{trap_below}"), format!("{trap_below},{allow_0}")] {
        assert_eq!(rules(&both).says(X86_64, 0, &[0]), ALLOW, "one value is more specific than a range");
        assert_eq!(rules(&both).says(X86_64, 0, &[1]), 0x0003_0000);
    }
}

#[test]
fn a_rule_covers_the_old_doors_of_32_bit_x86() {
    let tables = r#""architectures": ["SCMP_ARCH_X86"]"#;
    let filter = Filter::docker(&format!(
        r#"{{ "defaultAction": "SCMP_ACT_ALLOW", {tables}, "syscalls": [
            {{ "names": ["shmget"], "action": "SCMP_ACT_ERRNO" }},
            {{ "names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [{{ "index": 0, "value": 38, "op": "SCMP_CMP_EQ" }}] }}
        ] }}"#
    ));
    assert_eq!(filter.says(X86_64, 41, &[38]), EPERM);
    assert_eq!(filter.says(X86_64, 41, &[2]), ALLOW);
    assert_eq!(filter.says(X86, 359, &[38]), EPERM);
    assert_eq!(filter.says(X86, 102, &[1]), EPERM, "socketcall could hide any family");
    assert_eq!(filter.says(X86, 102, &[3]), ALLOW);
    assert_eq!(filter.says(X86, 117, &[0x1_0017]), EPERM, "ipc, with a version in the upper half");
    assert_eq!(filter.says(X86, 117, &[21]), ALLOW);
}

#[test]
fn the_default_policy_without_capabilities() {
    let filter = Filter::standard(&[]);
    let cases: &[(&str, u32, &[u64], u32)] = &[
        ("read", 0, &[], ALLOW),
        ("execve", 59, &[], ALLOW),
        ("mount", 165, &[], EPERM),
        ("unshare", 272, &[0x1000_0000], EPERM),
        ("bpf", 321, &[], EPERM),
        ("keyctl", 250, &[], EPERM),
        ("userfaultfd", 323, &[], EPERM),
        ("io_uring_setup", 425, &[], EPERM),
        ("a number of the future", 999, &[], ENOSYS),
        ("syscall(-1)", u32::MAX, &[], ENOSYS),
        ("clone of a thread", 56, &[0x003d_0f00], ALLOW),
        ("clone with a user namespace", 56, &[0x1000_0011], EPERM),
        ("clone3", 435, &[], ENOSYS),
        ("personality of Linux", 135, &[0], ALLOW),
        ("personality without address randomisation", 135, &[0x4_0000], EPERM),
        ("socket of AF_UNIX", 41, &[1], ALLOW),
        ("socket of AF_INET6", 41, &[10], ALLOW),
        ("socket of AF_NETLINK", 41, &[16], ALLOW),
        ("socket of AF_ALG", 41, &[38], EPERM),
        ("socket of AF_ALG, with a bit above", 41, &[0x1_0000_0026], EPERM),
        ("socket of AF_VSOCK", 41, &[40], EPERM),
        ("ptrace", 101, &[], ALLOW),
        ("process_madvise", 440, &[], EPERM),
        ("chroot", 161, &[], EPERM),
        ("execve by x32", X32 | 520, &[], ALLOW),
        ("mount by x32", X32 | 165, &[], EPERM),
    ];
    for (what, number, args, outcome) in cases {
        assert_eq!(filter.says(X86_64, *number, args), *outcome, "{what}");
    }
    assert_eq!(filter.says(X86, 102, &[1]), ENOSYS, "socket by socketcall");
    assert_eq!(filter.says(X86, 102, &[3]), ALLOW, "connect by socketcall");
    assert_eq!(filter.says(X86, 359, &[2]), ALLOW, "socket on 32-bit x86");
    assert_eq!(filter.says(X86, 21, &[]), EPERM, "mount on 32-bit x86");
    assert_eq!(filter.says(AARCH64, 63, &[]), KILL_PROCESS, "another machine's table");
    assert_eq!(
        Filter::of(&compile(&default_policy::<&str>(&[], (4, 4)), Arch::X86_64).unwrap()).says(
            X86_64,
            101,
            &[]
        ),
        EPERM
    );
}

#[test]
fn capabilities_open_their_calls() {
    let calls = [
        ("CAP_SYS_ADMIN", 165),
        ("CAP_SYS_ADMIN", 272),
        ("CAP_SYS_ADMIN", 435),
        ("CAP_SYS_PTRACE", 312),
        ("CAP_SYS_MODULE", 313),
        ("CAP_SYS_TIME", 227),
        ("CAP_SYSLOG", 103),
        ("CAP_PERFMON", 298),
        ("CAP_BPF", 321),
        ("CAP_SYS_CHROOT", 161),
        ("CAP_SYS_BOOT", 169),
        ("CAP_SYS_NICE", 238),
        ("CAP_SYS_PACCT", 163),
        ("CAP_SYS_RAWIO", 172),
        ("CAP_SYS_TTY_CONFIG", 153),
        ("CAP_DAC_READ_SEARCH", 304),
    ];
    let without = Filter::standard(&["CAP_NET_ADMIN"]);
    for (capability, number) in calls {
        assert_ne!(without.says(X86_64, number, &[]), ALLOW, "{number} without {capability}");
        assert_eq!(
            Filter::standard(&[capability]).says(X86_64, number, &[]),
            ALLOW,
            "{number} with {capability}"
        );
    }
    assert_eq!(Filter::standard(&["CAP_SYS_ADMIN"]).says(X86_64, 56, &[0x1000_0011]), ALLOW);
    assert_eq!(Filter::standard(&["CAP_SYS_ADMIN"]).says(X86_64, 155, &[]), EPERM, "pivot_root never");
}

#[test]
fn every_machine_has_its_default() {
    for (arch, audit, read, mount) in [
        (Arch::X86_64, X86_64, 0, 165),
        (Arch::Aarch64, AARCH64, 63, 40),
        (Arch::Riscv64, 0xc000_00f3, 63, 40),
    ] {
        let filter = Filter::of(&compile(&default_policy::<&str>(&[], (6, 1)), arch).unwrap());
        assert_eq!(filter.says(audit, read, &[]), ALLOW);
        assert_eq!(filter.says(audit, mount, &[]), EPERM);
    }
    let arm = Filter::of(&compile(&default_policy::<&str>(&[], (6, 1)), Arch::Aarch64).unwrap());
    assert_eq!(arm.says(AARCH64, 79, &[]), ALLOW, "newfstatat");
    assert_eq!(arm.says(0x4000_0028, 0x000f_0005, &[]), ALLOW, "set_tls of 32-bit ARM");
    assert!(kernel_version() > (2, 6));
}

#[test]
fn errors_name_the_place() {
    let with = |rule: &str| {
        refused(&format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["read"],"action":"SCMP_ACT_TRAP"}},{rule}]}}"#
        ))
    };
    let arg = |arg: &str| with(&format!(r#"{{"names":["read"],"action":"SCMP_ACT_KILL","args":[{arg}]}}"#));
    for (message, begins) in [
        (
            refused(r#"{"defaultAction":"ALLOW"}"#),
            "the seccomp profile's defaultAction is ALLOW, but it must be one of SCMP_ACT_KILL",
        ),
        (
            refused(r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#),
            "the seccomp profile's defaultAction is SCMP_ACT_NOTIFY",
        ),
        (
            refused(r#"{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1}"#),
            "the seccomp profile's defaultErrnoRet is given",
        ),
        (
            refused(r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["TSYNC"]}"#),
            "the seccomp profile's flags[0] is TSYNC",
        ),
        (
            refused(r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["x86"]}"#),
            "the seccomp profile's architectures[0] is x86",
        ),
        (
            refused(
                r#"{"defaultAction":"SCMP_ACT_ALLOW","archMap":[{"architecture":"SCMP_ARCH_X86","subArchitectures":["X"]}]}"#,
            ),
            "the seccomp profile's archMap[0].subArchitectures[0] is X",
        ),
        (
            with(r#"{"names":["read"],"action":"SCMP_ACT_DENY"}"#),
            "the seccomp profile's syscalls[1].action is SCMP_ACT_DENY",
        ),
        (
            with(r#"{"names":[],"action":"SCMP_ACT_KILL"}"#),
            "the seccomp profile's syscalls[1].names is empty",
        ),
        (
            with(r#"{"name":"a","names":["b"],"action":"SCMP_ACT_KILL"}"#),
            "the seccomp profile's syscalls[1].name is given beside names",
        ),
        (
            with(r#"{"names":["b"],"action":"SCMP_ACT_ERRNO","errnoRet":4096}"#),
            "the seccomp profile's syscalls[1].errnoRet is 4096",
        ),
        (
            with(r#"{"names":["b"],"action":"SCMP_ACT_KILL","includes":{"minKernel":"4"}}"#),
            "the seccomp profile's syscalls[1].includes.minKernel is \"4\"",
        ),
        (
            with(r#"{"names":["b"],"action":"SCMP_ACT_NOTIFY"}"#),
            "the seccomp profile's listenerPath is empty",
        ),
        (
            arg(r#"{"index":6,"value":0,"op":"SCMP_CMP_EQ"}"#),
            "the seccomp profile's syscalls[1].args[0].index is 6",
        ),
        (
            arg(r#"{"index":-1,"value":0,"op":"SCMP_CMP_EQ"}"#),
            "the seccomp profile's syscalls[1].args[0].index is -1",
        ),
        (arg(r#"{"index":0,"value":0,"op":"=="}"#), "the seccomp profile's syscalls[1].args[0].op is =="),
    ] {
        assert!(message.starts_with(begins), "{message}");
    }
    let contradiction = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["read"],"action":"SCMP_ACT_TRAP","args":[{"index":0,"value":0,"op":"SCMP_CMP_EQ"}]},
        {"names":["write","read"],"action":"SCMP_ACT_KILL","args":[{"index":0,"value":0,"op":"SCMP_CMP_EQ"}]}]}"#;
    assert!(
        refused(contradiction)
            .starts_with("the seccomp profile's syscalls[1] contradicts syscalls[0] about read")
    );
    // A rule that is for other containers is wrong for all.
    assert!(
        with(r#"{"names":["b"],"action":"X","includes":{"caps":["CAP_BPF"]}}"#)
            .contains("syscalls[1].action")
    );
}

#[test]
fn too_much_is_refused() {
    let args: Vec<String> =
        (0..3000).map(|at| format!(r#"{{"index":{},"value":{at},"op":"SCMP_CMP_EQ"}}"#, at % 6)).collect();
    let json = format!(
        r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["read"],"action":"SCMP_ACT_KILL","args":[{}]}}]}}"#,
        args.join(",")
    );
    assert!(refused(&json).contains("but the kernel takes 4096"));
    assert!(matches!(Program::from_bytes(&[0; 12], 0), Err(SeccompError::Stored { .. })));
    assert!(matches!(Program::from_bytes(&[], 0), Err(SeccompError::Stored { .. })));
    assert!(serde_json::from_str::<Program>(r#"{"instructions":"0600","flags":0}"#).is_err());
    assert!(serde_json::from_str::<Program>(r#"{"instructions":"06000000000000zz","flags":0}"#).is_err());
}

#[test]
fn an_oci_object_reads_and_writes() {
    let json = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"architectures":["SCMP_ARCH_X86_64"],"flags":["SECCOMP_FILTER_FLAG_LOG"],"listenerPath":"/run/answer.sock","listenerMetadata":"x","syscalls":[{"names":["mount"],"action":"SCMP_ACT_NOTIFY","args":[{"index":1,"value":18446744073709551615,"valueTwo":0,"op":"SCMP_CMP_NE"}]}]}"#;
    let seccomp: Seccomp = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&seccomp).unwrap(), json);
    let program = compile(&seccomp, Arch::X86_64).unwrap();
    assert!(program.listens());
    assert_eq!(program.flags, 2 | 8, "LOG, NEW_LISTENER");
    let flags = |flags| {
        compile(&Seccomp { flags, ..default_policy::<&str>(&[], (6, 1)) }, Arch::X86_64).unwrap().flags
    };
    assert_eq!(flags(None), 4, "SPEC_ALLOW unless something is said");
    assert_eq!(flags(Some(Vec::new())), 0);
    assert_eq!(seccomp.syscalls[0].action, Action::Notify);
}
