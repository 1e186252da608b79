//! What people are used to: completion, a guess at what was meant, a bar on long work.

use bulkhead_tests::Host;

/// A script that asks as bash does, by what `bulkhead completion bash` defined.
const ASK: &str = r#"source <(bulkhead completion bash)
    function=$(complete -p bulkhead | sed 's/.*-F \([^ ]*\).*/\1/')
    ask() {
        COMP_WORDS=(bulkhead "$@"); COMP_CWORD=$#; COMPREPLY=(); COMP_TYPE=9
        COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
        $function bulkhead "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}" | sort | xargs
    }"#;

#[test]
fn commands_flags_and_names_are_completed() {
    let host = Host::new("completion").with_busybox();
    for name in ["web", "wonder"] {
        host.bulkhead(["create", "--name", name, "busybox"]).run().succeeds();
    }
    host.bulkhead(["volume", "create", "data"]).prints("data");
    let asks =
        |words: &str| host.sh(&format!("bash -c '{}\nask {words}'", ASK.replace('\'', r"'\''"))).stdout();
    assert_eq!(asks("sto"), "stop");
    assert_eq!(asks("start w"), "web wonder");
    assert_eq!(asks("container rm web wo"), "wonder");
    assert_eq!(asks("run --memory-s"), "--memory-swap --memory-swappiness");
    assert_eq!(asks("run b"), "busybox:latest");
    assert_eq!(asks("volume rm d"), "data");
    assert_eq!(asks("rm nobody"), "");
    for shell in ["zsh", "fish"] {
        host.bulkhead(["completion", shell]).run().succeeds().shows("COMPLETE=");
    }
    host.bulkhead(["completion", "what"]).fails(125, "what");
    host.bulkhead(["completion"]).fails(1, "argument");
    // Where there is no engine yet, asking makes none.
    host.sh(&format!(
        "export BULKHEAD_ROOT=/run/none; bash -c '{}\nask start w'; test ! -e /run/none",
        ASK.replace('\'', r"'\''")
    ))
    .prints("");
    host.finish();
}

/// Docker's own line comes first, whole, since scripts read it.
#[test]
fn a_name_that_was_mistyped() {
    let host = Host::new("similar").with_busybox();
    host.run_detached(["--name", "web", "busybox", "sleep", "1000"]);
    for command in
        [&["stop", "wbe"][..], &["rm", "wbe"], &["exec", "wbe", "true"], &["logs", "wbe"], &["stats", "wbe"]]
    {
        let said = host.bulkhead(command).run();
        assert_eq!((said.code(), said.stdout().as_str()), (1, ""), "{said}");
        assert_eq!(said.stderr(), "bulkhead: No such container: wbe\n\nDid you mean web?\n", "{said}");
    }
    host.bulkhead(["run", "--rm", "busibox", "true"]).fails(125, "\n\nDid you mean busybox:latest?");
    let said = host.bulkhead(["stop", "something-else"]).run();
    assert_eq!(said.stderr(), "bulkhead: No such container: something-else\n", "{said}");
    host.finish();
}

/// On a terminal, and only there; what was loaded is said all the same.
#[test]
fn long_work_is_shown_on_a_terminal() {
    let host = Host::new("progress");
    let archive = host.sh("ls /run/host/images/busybox*.tar | head -n 1").stdout();
    let slowly =
        format!("{{ head -c 100000 {archive}; sleep 0.7; tail -c +100001 {archive}; }} | bulkhead load");
    let terminal = host.pty_of(["sh", "-c", &format!("{slowly}; {slowly} -q | cat")]);
    let (code, text) = terminal.wait();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("Loading"), "{text:?}");
    assert_eq!(text.matches("Loaded image: busybox:latest").count(), 2, "{text:?}");
    // No colours, here as anywhere.
    assert!(!text.contains("\u{1b}[3") && !text.contains("\u{1b}[1m"), "{text:?}");
    let said = host.sh(&slowly).run();
    assert_eq!((said.stdout().as_str(), said.stderr().as_str()), ("Loaded image: busybox:latest\n", ""));
    host.finish_clean();
}
