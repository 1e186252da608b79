//! Templates end to end: what Docker 28.2 and Go print for them, word for word.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Data, Methods, MissingKey, Options, Shape, Template, Type};

fn render(template: &str, data: &Value, options: &Options<'_>) -> Result<String, String> {
    Template::parse(template)
        .and_then(|template| template.render(data, options))
        .map_err(|error| error.to_string())
}

fn data() -> Value {
    json!({
        "A": {"B": "x", "C": {"D": 5}},
        "L": [1, "a", null, true, 2.5, {"k": "v"}],
        "Names": ["x", "y", "z"],
        "M": {"b": "2", "a": "1"},
        "S": "hello wörld",
        "N": 7,
        "F": 2.5,
        "T": true,
        "Z": null,
        "E": [],
    })
}

fn prints(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        assert_eq!(render(template, &data(), &Options::default()), Ok((*expected).to_owned()), "{template}");
    }
}

fn fails(cases: &[(&str, &str)]) {
    for (template, message) in cases {
        let expected = Err(format!("template: :{message}"));
        assert_eq!(render(template, &data(), &Options::default()), expected, "{template}");
    }
}

#[test]
fn values_print_as_go_prints_them() {
    prints(&[
        ("text only", "text only"),
        ("", ""),
        ("{{.A.B}} {{.N}} {{.F}} {{.T}}", "x 7 2.5 true"),
        ("{{.L}}", "[1 a <nil> true 2.5 map[k:v]]"),
        ("{{.M}} {{.E}}", "map[a:1 b:2] []"),
        ("{{.Z}} {{.Nope}} {{.Nope.Deeper}}", "<no value> <no value> <no value>"),
        ("{{json .A}} {{json .Z}} {{json .Nope}}", r#"{"B":"x","C":{"D":5}} null null"#),
        ("{{json \"<a>&\"}}", r#""<a>&""#),
        ("{{\"a\\tb\"}} {{`\\t`}} {{'a'}} {{0x10}} {{1e3}} {{1.5}} {{true}}", "a\tb \\t 97 16 1000 1.5 true"),
    ]);
}

#[test]
fn statements_run_as_in_go() {
    prints(&[
        ("{{if .T}}a{{else}}b{{end}}{{if .Z}}a{{else if .E}}b{{else if .N}}c{{else}}d{{end}}", "ac"),
        ("{{if and .T .Z}}a{{else}}b{{end}}{{if or .Z .T}}a{{end}}{{if not .Z}}n{{end}}", "ban"),
        (
            "{{with .A}}{{.B}}{{end}}{{with .Z}}a{{else}}b{{end}}{{with .Z}}a{{else with .A}}{{.B}}{{end}}",
            "xbx",
        ),
        ("{{range .Names}}<{{.}}>{{end}}{{range .E}}a{{else}}none{{end}}", "<x><y><z>none"),
        ("{{range $i, $n := .Names}}{{$i}}={{$n}} {{end}}", "0=x 1=y 2=z "),
        ("{{range $k, $v := .M}}{{$k}}={{$v}};{{end}}{{range $v := .M}}{{$v}}{{end}}", "a=1;b=2;12"),
        ("{{range .Names}}{{if eq . \"y\"}}{{continue}}{{end}}{{.}}{{end}}", "xz"),
        ("{{range .Names}}{{if eq . \"y\"}}{{break}}{{end}}{{.}}{{end}}", "x"),
        ("{{range 3}}{{.}}{{end}}{{range .Z}}a{{else}}none{{end}}", "012none"),
        ("{{$x := .N}}{{with .A}}{{$x}}{{$.N}}{{.B}}{{end}}", "77x"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{$x := 3}}{{$x}}{{end}}{{$x}}", "32"),
        ("{{define \"t\"}}[{{.}}]{{end}}{{template \"t\" .N}}{{block \"b\" .A}}{{.B}}{{end}}", "[7]x"),
    ]);
}

#[test]
fn trim_markers_and_comments_leave_nothing() {
    prints(&[
        ("a {{- .N -}} b", "a7b"),
        ("a\n\t{{- /* note */ -}}\n b{{/* {{x}} */}}c", "abc"),
        ("{{.N -}}  {{- .N}}", "77"),
        ("{{-1}}", "-1"),
        ("a {{- -1 -}} b", "a-1b"),
        ("{{range .Names -}} {{.}} {{- end}}", "xyz"),
    ]);
}

#[test]
fn functions_give_what_docker_gives() {
    prints(&[
        ("{{join .Names \", \"}} {{.Names | len}} {{index .Names 1}} {{index .M \"a\"}}", "x, y, z 3 y 1"),
        ("{{split \"/n\" \"/\"}} {{index (split \"a/b\" \"/\") 1}} {{len .S}}", "[ n] b 12"),
        ("{{title \"hello wörld a_b\"}} {{upper .S}} {{lower \"ABC\"}}", "Hello Wörld A_b HELLO WÖRLD abc"),
        (
            "{{pad \"a\" 1 2}}|{{pad \"\" 1 2}}|{{truncate \"abcdef\" 3}}|{{truncate \"ab\" 5}}",
            " a  ||abc|ab",
        ),
        ("{{slice .S 0 5}} {{slice .Names 1}} {{slice .Names 1 2 | len}}", "hello [y z] 1"),
        (
            "{{print 1 2 \"a\" 3}} {{println \"a\" 1}}{{printf \"%-5s|%5d|%q|%%\" .A.B .N .A.B}}",
            "1 2a3 a 1\nx    |    7|\"x\"|%",
        ),
        (
            "{{eq .N 7}} {{eq .A.B \"y\" \"x\"}} {{ne .N 8}} {{lt 1 2}} {{le 2 2}} {{gt \"b\" \"a\"}} {{ge 1 2}}",
            "true true true true true true false",
        ),
        ("{{eq .Z nil}} {{(index .L 5).k}} {{(.A).C.D}} {{$.A.C.D}}", "true v 5 5"),
        ("{{.N | printf \"%d-%d\" 1}} {{\"a\" | upper | printf \"%s!\"}}", "1-7 A!"),
        ("{{and 1 0 .Nope.X}} {{or 0 \"a\"}} {{and 1 2}}", "0 a 2"),
    ]);
}

#[test]
fn mistakes_in_the_template_are_named_as_go_names_them() {
    fails(&[
        ("{{.ID", "1: unclosed action"),
        ("a\n{{.ID\n", "3: unclosed action started at :2"),
        ("{{foo}}", "1: function \"foo\" not defined"),
        ("{{}}", "1: missing value for command"),
        ("{{if}}", "1: missing value for if"),
        ("{{end}}", "1: unexpected {{end}}"),
        ("{{else}}", "1: unexpected {{else}}"),
        ("{{range .X}}", "1: unexpected EOF"),
        ("{{if .X}}{{else}}{{else}}{{end}}", "1: expected end; found {{else}}"),
        ("{{break}}", "1: {{break}} outside {{range}}"),
        ("{{$x}}", "1: undefined variable \"$x\""),
        ("{{1 | 2}}", "1: non executable command in pipeline stage 2"),
        ("{{|}}", "1: unexpected \"|\" in command"),
        ("{{.A.}}", "1: unexpected <.> in operand"),
        ("{{\"x\".Foo}}", "1: unexpected . after term \"\\\"x\\\"\""),
        ("{{.Foo$}}", "1: bad character U+0024 '$'"),
        ("{{.A .B) }}", "1: unexpected right paren"),
        ("{{(.A}}", "1: unclosed left paren"),
        ("{{\"abc}}", "1: unterminated quoted string"),
        ("{{`abc}}", "1: unterminated raw quoted string"),
        ("{{'ab'}}", "1: malformed character constant: 'ab'"),
        ("{{1a}}", "1: bad number syntax: \"1a\""),
        ("{{/* a", "1: unclosed comment"),
        ("{{/* a */ b}}", "1: comment ends before closing delimiter"),
        ("{{\u{1}}}", "1: unrecognized character in action: U+0001"),
        ("{{.A}.B}}", "1: bad character U+007D '}'"),
        ("{{.A :b}}", "1: expected :="),
        ("{{$a, $b := .A}}", "1: too many declarations in command"),
        ("{{if .A}}{{define \"x\"}}{{end}}{{end}}", "1: unexpected <define> in command"),
    ]);
}

#[test]
fn mistakes_at_run_are_named_as_go_names_them() {
    fails(&[
        ("{{.S.Foo}}", "1:4: executing \"\" at <.S.Foo>: can't evaluate field Foo in type interface {}"),
        ("{{.Z.Foo}}", "1:4: executing \"\" at <.Z.Foo>: nil pointer evaluating interface {}.Foo"),
        (
            "x\n {{index .L 9}}",
            "2:3: executing \"\" at <index .L 9>: error calling index: index out of range: 9",
        ),
        (
            "{{index .Nope 0}}",
            "1:2: executing \"\" at <index .Nope 0>: error calling index: index of untyped nil",
        ),
        (
            "{{index .L \"a\"}}",
            "1:2: executing \"\" at <index .L \"a\">: error calling index: cannot index slice/array with type string",
        ),
        ("{{lower .N}}", "1:8: executing \"\" at <.N>: wrong type for value; expected string; got int"),
        ("{{lower 5}}", "1:8: executing \"\" at <5>: expected string; found 5"),
        ("{{join 5 \",\"}}", "1:7: executing \"\" at <5>: can't handle 5 for arg of type []string"),
        (
            "{{join .M \",\"}}",
            "1:7: executing \"\" at <.M>: wrong type for value; expected []string; got map[string]interface {}",
        ),
        ("{{len}}", "1:2: executing \"\" at <len>: wrong number of args for len: want 1 got 0"),
        (
            "{{eq .N \"a\"}}",
            "1:2: executing \"\" at <eq .N \"a\">: error calling eq: incompatible types for comparison",
        ),
        (
            "{{lt .T true}}",
            "1:2: executing \"\" at <lt .T true>: error calling lt: invalid type for comparison",
        ),
        (
            "{{pad \"a\" -1 2}}",
            "1:2: executing \"\" at <pad \"a\" -1 2>: error calling pad: strings: negative Repeat count",
        ),
        (
            "{{truncate \"abc\" -1}}",
            "1:2: executing \"\" at <truncate \"abc\" -1>: error calling truncate: runtime error: slice bounds out of range [:-1]",
        ),
        ("{{range .S}}{{end}}", "1:8: executing \"\" at <.S>: range can't iterate over hello wörld"),
        ("{{.S 1}}", "1:2: executing \"\" at <.S>: S is not a method but has arguments"),
        ("{{1 2}}", "1:2: executing \"\" at <1>: can't give argument to non-function 1"),
        ("{{nil}}", "1:2: executing \"\" at <nil>: nil is not a command"),
        ("{{template \"x\"}}", "1:11: executing \"\" at <{{template \"x\"}}>: template \"x\" not defined"),
        (
            "{{define \"t\"}}{{.S.X}}{{end}}{{template \"t\" .}}",
            "1:18: executing \"t\" at <.S.X>: can't evaluate field X in type interface {}",
        ),
    ]);
}

#[test]
fn a_strict_map_names_the_missing_key() {
    let strict = Options { missing: MissingKey::Error, ..Options::default() };
    assert_eq!(
        render("{{.Foo}}", &data(), &strict),
        Err("template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\"".to_owned())
    );
    assert_eq!(
        render("{{(index .M \"zz\").X}}", &data(), &strict),
        Err("template: :1:12: executing \"\" at <\"zz\">: nil data; no entry for key \"X\"".to_owned())
    );
}

#[test]
fn a_struct_refuses_unknown_fields_and_shows_what_is_empty() {
    let shapes = [
        ("Labels", Shape::StringMap),
        ("Binds", Shape::List),
        ("Networks", Shape::Map),
        ("Ports", Shape::ListMap),
    ];
    let kind = Data::Struct(Type { name: "*container.InspectResponse", shapes: &shapes });
    let options = Options { data: kind, ..Options::default() };
    let data = json!({
        "State": {"Health": null, "ExitCode": 0},
        "Config": {"Labels": {"a": "b"}},
        "Binds": null,
        "Networks": {"bridge": {"IP": "1"}},
        "Ports": {"80/tcp": [{"HostPort": "8080"}], "81/tcp": null},
    });
    for (template, expected) in [
        (
            "{{.Config.Labels.zz}}|{{index .Config.Labels \"zz\"}}|{{index .Config.Labels \"a\"}}",
            "<no value>||b",
        ),
        ("{{.Binds}} {{len .Binds}} {{json .Binds}} {{range .Binds}}x{{else}}none{{end}}", "[] 0 null none"),
        ("{{.State.Health}} {{with .State.Health}}x{{else}}none{{end}}", "<nil> none"),
        ("{{.Networks.bridge.IP}} {{range $n, $v := .Networks}}{{$n}}={{$v.IP}}{{end}}", "1 bridge=1"),
        ("{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080"),
        ("{{range $p, $b := .Ports}}{{$p}}{{range $b}}={{.HostPort}}{{end}};{{end}}", "80/tcp=8080;81/tcp;"),
    ] {
        assert_eq!(render(template, &data, &options), Ok(expected.to_owned()), "{template}");
    }
    assert_eq!(
        render("{{.Foo}}", &data, &options),
        Err("template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *container.InspectResponse"
            .to_owned())
    );
    assert_eq!(
        render("{{.State.Foo}}", &data, &options),
        Err("template: :1:8: executing \"\" at <.State.Foo>: can't evaluate field Foo".to_owned())
    );
}

struct Labels;

impl Methods for Labels {
    fn arity(&self, name: &str) -> Option<usize> {
        (name == "Label").then_some(1)
    }

    fn call(&self, _: &str, args: &[&str]) -> Result<Value, String> {
        Ok(args.concat().into())
    }
}

#[test]
fn rows_have_methods_and_escape_their_own_json() {
    let row = json!({"ID": "4c01db0b339c", "Ports": "0.0.0.0:80->80/tcp"});
    let kind = Type { name: "*formatter.ContainerContext", shapes: &[] };
    let options = Options { data: Data::Row(kind), methods: Some(&Labels), ..Options::default() };
    for (template, expected) in [
        ("{{.Label \"a\"}} {{$.Label \"b\"}} {{\"c\" | .Label}} {{(.Label \"d\") | upper}}", "a b c D"),
        ("{{json .}}", r#"{"ID":"4c01db0b339c","Ports":"0.0.0.0:80-\u003e80/tcp"}"#),
        ("{{json .Ports}}", r#""0.0.0.0:80->80/tcp""#),
    ] {
        assert_eq!(render(template, &row, &options), Ok(expected.to_owned()), "{template}");
    }
    for (template, message) in [
        (
            "{{.Foo}}",
            "1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext",
        ),
        ("{{.ID.Foo}}", "1:5: executing \"\" at <.ID.Foo>: can't evaluate field Foo in type string"),
        ("{{.ID 1}}", "1:2: executing \"\" at <.ID>: wrong number of args for ID: want 0 got 1"),
        ("{{.Label}}", "1:2: executing \"\" at <.Label>: wrong number of args for Label: want 1 got 0"),
        (
            "{{.Label \"a\" \"b\"}}",
            "1:2: executing \"\" at <.Label>: wrong number of args for Label: want 1 got 2",
        ),
        ("{{.Label 5}}", "1:9: executing \"\" at <5>: expected string; found 5"),
    ] {
        assert_eq!(render(template, &row, &options), Err(format!("template: :{message}")), "{template}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = format!("{{{{{}.N{}}}}}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(
        render(&nested, &data(), &Options::default()),
        Err("template: :1: max expression depth exceeded".to_owned())
    );
    let blocks = "{{if true}}".repeat(5000);
    assert!(Template::parse(&blocks).is_err());
    let endless = "{{define \"t\"}}{{template \"t\" .}}{{end}}{{template \"t\" .}}";
    let message = render(endless, &data(), &Options::default()).unwrap_err();
    assert!(message.ends_with("exceeded maximum template depth (200)"), "{message}");

    let small = Options { max_output: 10, ..Options::default() };
    assert!(render("{{range 5}}abc{{end}}", &data(), &small).unwrap_err().contains("longer than 10 bytes"));
    let doubling = "{{$x := \"0123456789abcdef\"}}{{range 40}}{{$x = print $x $x}}{{end}}";
    assert!(render(doubling, &data(), &Options::default()).unwrap_err().contains("longer than"));
    let wide = format!("{{{{printf \"{}\" {}}}}}", "%999999d".repeat(100), "1 ".repeat(100));
    assert!(render(&wide, &data(), &Options::default()).unwrap_err().contains("longer than"));
    assert!(render("{{range 99999999999}}{{end}}", &data(), &Options::default()).is_err());
}

#[test]
fn what_was_printed_before_a_mistake_stays() {
    let mut out = "before ".to_owned();
    let template = Template::parse("a{{.S.X}}b").unwrap();
    assert!(template.execute(&data(), &Options::default(), &mut out).is_err());
    assert_eq!(out, "before a");
}

proptest! {
    #[test]
    fn no_input_makes_the_parser_panic(source in ".{0,80}") {
        let _ = Template::parse(&source);
    }

    #[test]
    fn no_template_makes_a_run_panic(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "{{", "}}", "{{- ", " -}}", "(", ")", "|", " ", ".", ".S", ".L", ".M", "$", "$x", ":=", "=", ",",
                "if ", "range ", "with ", "else", "end", "define ", "template ", "block ", "break", "nil", "true",
                "\"a\"", "`b`", "'c'", "1", "-2", "1.5", "index ", "slice ", "len ", "printf ", "\"%5d%v%*q\"",
                "eq ", "lt ", "and ", "not ", "join ", "split ", "pad ", "truncate ", "json ", "é", "\n", "/*", "*/",
            ]),
            0..24,
        ),
        strict in any::<bool>(),
    ) {
        let missing = if strict { MissingKey::Error } else { MissingKey::NoValue };
        let kind = Type { name: "T", shapes: &[("M", Shape::StringMap), ("L", Shape::List)] };
        let source = parts.concat();
        for data_kind in [Data::Json, Data::Struct(kind), Data::Row(kind)] {
            let options = Options { data: data_kind, missing, methods: Some(&Labels), ..Options::default() };
            let _ = render(&source, &data(), &options);
            let _ = render(&format!("{{{{{source}}}}}"), &data(), &options);
        }
    }

    #[test]
    fn text_without_actions_is_copied(text in "[^{]{0,60}") {
        prop_assert_eq!(render(&text, &data(), &Options::default()), Ok(text));
    }
}
