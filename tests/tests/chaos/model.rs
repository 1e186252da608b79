//! What must hold, whatever is killed.

/// No ID or name is listed twice; whoever is shown as running runs, and two who run have not the same address. Between the
/// list and the look at each container things go on happening, so a look that finds something wrong is taken again.
pub(crate) const TRUTH: &str = r#"
    bulkhead ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}' > /run/shown.$$
    test -z "$(cut -d' ' -f1 /run/shown.$$ | sort | uniq -d)" || { echo an ID twice; exit 0; }
    test -z "$(cut -d' ' -f2 /run/shown.$$ | sort | uniq -d)" || { echo a name twice; exit 0; }
    while read id name state; do
        for look in $(seq 100); do
            said=$(bulkhead inspect -f '{{.State.Status}} {{.State.Pid}} {{.State.ExitCode}}' $id 2>/dev/null) || { wrong=; break; }
            set -- $said
            wrong=
            case $1 in
                running|paused) test -d /proc/$2 || wrong="$name is shown as $1 and its process $2 is not there" ;;
                created|exited|restarting) test $2 = 0 || wrong="$name is shown as $1 with process $2" ;;
                *) wrong="$name is $1" ;;
            esac
            test -n "$wrong" || break
            sleep 0.02
        done
        test -z "$wrong" || { echo "$wrong"; break; }
    done < /run/shown.$$
    rm /run/shown.$$
    for look in $(seq 20); do
        running=$(bulkhead ps -q)
        test -z "$running" && break
        twice=$(bulkhead inspect -f '{{range .NetworkSettings.Networks}}{{println .IPAddress}}{{end}}' $running 2>/dev/null | grep '^[0-9]' | sort | uniq -d)
        test -z "$twice" && break
    done
    test -z "$twice" || echo "the address $twice twice""#;

/// What a command may say instead of doing what it was asked for: the container is not in the state for it, or others are
/// at it.
const REFUSALS: [&str; 22] = [
    "No such volume: ",
    "No such container: ",
    "No such object: ",
    "is already in use by container",
    "is not running",
    "is already running",
    "is already paused",
    "is not paused",
    "is paused",
    "You cannot",
    "is restarting, wait until the container is running",
    "is being started, stopped or removed by another command",
    "cannot restart container",
    "is started again whenever it is stopped",
    "the container's supervisor has ended unexpectedly",
    "hear from the supervisor of container",
    "hear from the container's supervisor",
    "has just ended",
    "already exists in network shop",
    "is not connected to network shop",
    "container cannot be connected to multiple networks with one of the networks in private (none) mode",
    "has left its network namespace",
];

/// Holds a command's answer against the model. `killed` says whether the client may have been killed. Gives whether the
/// command did what it was asked for.
pub(crate) fn check_answer(command: &str, name: &str, killed: bool, said: &str) -> bool {
    let (said, code) = said.trim_end().rsplit_once("code ").unwrap_or((said, "?"));
    let code: i32 = code.parse().unwrap_or(-1);
    let bad = |why: &str| -> ! { panic!("{why}: `{command}` ended with {code} and said\n{said}") };
    if said.contains("panicked") {
        bad("it panicked");
    }
    if killed && code == 137 {
        return false;
    }
    match command.split(' ').next() {
        // A container's files are its own: who asks for one by name gets that one's answer.
        // The file is there before the token is in it.
        Some("exec") if code == 0 && said.is_empty() => return false,
        Some("exec") if code == 0 && !said.starts_with(&format!("{name}-")) => {
            bad("another container answered")
        }
        // It may be removed by force before it says anything, and killed with it.
        Some("run") if command.starts_with("run --rm") => match code {
            7 => return true,
            137 | 255 => return false,
            0 => bad("its exit code was lost"),
            _ => {}
        },
        // Its program, or its supervisor, was killed.
        Some("exec") if code == 137 || code == 255 => return false,
        _ => {}
    }
    // /token is not there yet: the container has begun this moment.
    if code == 0 || (command.starts_with("exec") && said.contains("No such file or directory")) {
        return code == 0;
    }
    if !REFUSALS.iter().any(|refusal| said.contains(refusal)) {
        bad("that is no answer that can be expected");
    }
    false
}
