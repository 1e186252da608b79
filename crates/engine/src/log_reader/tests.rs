use std::fs;
use std::io::Write;
use std::path::Path;

use bulkhead_supervisor::log_config::LogFormat;
use proptest::prelude::*;

use super::{Logs, stamp};

const JSON: LogFormat = LogFormat::Json { attrs: None };

fn open(path: &Path, format: &LogFormat) -> Logs {
    Logs::open(path.to_owned(), format.clone()).unwrap().unwrap()
}

fn texts(logs: &mut Logs) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(line) = logs.next_line().unwrap() {
        all.push(String::from_utf8_lossy(line.text).into_owned());
    }
    all
}

fn plain(text: &str) -> String {
    format!("2024-01-01T00:00:00.000000000Z stdout F {text}\n")
}

#[test]
fn lines_are_read_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let lines = [
        r#"{"log":"a\"\\\n","stream":"stdout","time":"2024-01-01T00:00:00.12Z"}"#,
        r#"{"log":"b\u0001\u00e9\n","stream":"stderr","attrs":{"k\"":"v,\"time\":\"x"},"time":"2024-01-01T00:00:00Z"}"#,
        r#"{"log":"torn","stream":"std"#,
        r#"{"log":"\ud83d\ude00","stream":"stdout","time":"2024-01-01T01:00:00+01:00"}"#,
        r#"{ "time": "t", "log": "other", "attrs": {"a": "b"} }"#,
        r#"{"log":"no time","stream":"stdout"}"#,
        "",
        "\u{0}\u{0}\u{0}",
        r#"{"log":"last","stream":"stdout","time":"2024-01-01T00:00:00Z"}"#,
    ];
    fs::write(&path, lines.join("\n") + "\n{\"log\":\"unfinished").unwrap();
    let mut logs = open(&path, &JSON);
    let mut read = Vec::new();
    while let Some(line) = logs.next_line().unwrap() {
        let text = String::from_utf8(line.text.to_vec()).unwrap();
        read.push((text, line.stderr, line.time.to_owned(), line.attrs.map(str::to_owned)));
    }
    let line = |text: &str, stderr, time: &str, attrs: Option<&str>| {
        (text.to_owned(), stderr, time.to_owned(), attrs.map(str::to_owned))
    };
    assert_eq!(
        read,
        [
            line("a\"\\\n", false, "2024-01-01T00:00:00.12Z", None),
            line("b\u{1}é\n", true, "2024-01-01T00:00:00Z", Some(r#"{"k\"":"v,\"time\":\"x"}"#)),
            line("😀", false, "2024-01-01T01:00:00+01:00", None),
            line("other", false, "t", Some(r#"{"a":"b"}"#)),
            line("last", false, "2024-01-01T00:00:00Z", None),
        ]
    );
}

#[test]
fn stamps_are_in_order() {
    let shown = |time: &str| String::from_utf8(stamp(time).to_vec()).unwrap();
    assert_eq!(shown("2024-01-01T00:00:00Z"), "2024-01-01T00:00:00.000000000Z");
    assert_eq!(shown("2024-01-01T00:00:00.12Z"), "2024-01-01T00:00:00.120000000Z");
    assert_eq!(shown("2024-01-01T00:00:00.123456789Z"), "2024-01-01T00:00:00.123456789Z");
    assert_eq!(shown("2024-01-01T01:00:00.5+01:00"), "2024-01-01T00:00:00.500000000Z");
    assert_eq!(shown("nonsense"), "0000-00-00T00:00:00.000000000Z");
}

#[test]
fn what_is_unfinished_is_read_when_it_is_finished_or_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, plain("one") + "2024-01-01T00:00:00Z stdout F unf").unwrap();
    let mut logs = open(&path, &LogFormat::Plain);
    assert_eq!(texts(&mut logs), ["one\n"]);
    // Its writer takes it back, and writes another.
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(plain("one").len() as u64).unwrap();
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    file.write_all(plain("two").as_bytes()).unwrap();
    assert_eq!(texts(&mut logs), ["two\n"]);
}

#[test]
fn rotated_files_are_read_in_their_order_and_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let numbered = |number: u32| folder.path().join(format!("log.{number}"));
    // A number is missing: a writer was killed there.
    fs::write(numbered(11), plain("a")).unwrap();
    fs::write(numbered(2), plain("b") + "torn").unwrap();
    fs::write(numbered(1), "").unwrap();
    fs::write(&path, plain("c")).unwrap();
    fs::write(folder.path().join("log.next"), plain("x")).unwrap();
    let mut logs = open(&path, &LogFormat::Plain);
    assert_eq!(texts(&mut logs), ["a\n", "b\n", "c\n"]);
    let mut last = open(&path, &LogFormat::Plain);
    last.seek_to_last(2).unwrap();
    assert_eq!(texts(&mut last), ["b\n", "c\n"]);
    // More is written to the file that is open, and it is rotated twice before anybody looks.
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    file.write_all(plain("d").as_bytes()).unwrap();
    for text in ["e", "f"] {
        fs::rename(numbered(2), numbered(3)).unwrap();
        fs::rename(numbered(1), numbered(2)).unwrap();
        fs::rename(&path, numbered(1)).unwrap();
        fs::write(&path, plain(text)).unwrap();
    }
    assert_eq!(texts(&mut logs), ["d\n", "e\n", "f\n"]);
    // Between two renames there is no youngest file.
    fs::rename(&path, numbered(0x10)).unwrap();
    fs::rename(numbered(0x10), &path).unwrap();
    assert_eq!(texts(&mut logs), Vec::<String>::new());
    // What was being read has been removed.
    for number in [1, 2, 3, 11] {
        fs::remove_file(numbered(number)).unwrap();
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(texts(&mut logs), Vec::<String>::new());
    fs::write(&path, plain("g")).unwrap();
    assert_eq!(texts(&mut logs), ["g\n"]);
}

#[test]
fn pieces_of_a_line_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let line = |text: &str| {
        format!("{{\"log\":\"{text}\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:00Z\"}}\n")
    };
    fs::write(&path, line("one\\n") + &line("tw") + &line("o\\n") + &line("end")).unwrap();
    let last = |count| {
        let mut logs = open(&path, &JSON);
        logs.seek_to_last(count).unwrap();
        texts(&mut logs).concat()
    };
    assert_eq!(last(0), "");
    assert_eq!(last(1), "end");
    assert_eq!(last(2), "two\nend");
    assert_eq!(last(3), "one\ntwo\nend");
    assert_eq!(last(4), "one\ntwo\nend");
}

proptest! {
    #[test]
    fn no_bytes_make_reading_fail(bytes in prop::collection::vec(any::<u8>(), 0..400), json: bool, count in 0..5usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let format = if json { JSON } else { LogFormat::Plain };
        let mut content = bytes.clone();
        content.push(b'\n');
        content.extend(if json {
            b"{\"log\":\"end\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:00Z\"}\n".to_vec()
        } else {
            plain("end").into_bytes()
        });
        fs::write(&path, content).unwrap();
        let mut logs = open(&path, &format);
        prop_assert_eq!(texts(&mut logs).pop(), Some("end\n".to_owned()));
        logs.seek_to_last(count).unwrap();
        prop_assert!(texts(&mut logs).len() <= count.max(1));
    }

    #[test]
    fn tails_are_what_the_end_of_all_is(
        files in prop::collection::vec(prop::collection::vec(0..90_000usize, 0..12), 1..4),
        count in 0..30usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut all = Vec::new();
        for (index, lines) in files.iter().enumerate() {
            let number = files.len() - 1 - index;
            let texts: Vec<String> = lines.iter().map(|length| format!("{length}{}", "x".repeat(*length))).collect();
            let name = if number == 0 { path.clone() } else { folder.path().join(format!("log.{number}")) };
            fs::write(name, texts.iter().map(|text| plain(text)).collect::<String>()).unwrap();
            all.extend(texts.into_iter().map(|text| text + "\n"));
        }
        let mut logs = open(&path, &LogFormat::Plain);
        logs.seek_to_last(count).unwrap();
        let expected = all.get(all.len().saturating_sub(count)..).unwrap();
        prop_assert_eq!(texts(&mut logs), expected);
    }
}
