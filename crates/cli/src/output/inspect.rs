//! Prints whole objects: `inspect`, and what `info` and `version` show with `--format`.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::template::{self, Data, MissingKey, Options, Template, Type, json};

/// Why an object could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The template cannot be read, or asks `inspect` for what an object does not have.
    #[error("template parsing error: {0}")]
    Template(#[source] template::Error),
    /// The template asks [`print_object`] for what the object does not have.
    #[error(transparent)]
    Execute(template::Error),
    /// The object cannot be written as JSON.
    #[error("write the object as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Standard output takes no more.
    #[error("write to standard output: {0}")]
    Write(#[from] io::Error),
}

/// Prints `objects` as `inspect` does: without a format (or an empty one) as an indented JSON array, with `json` as
/// an array on one line, else each through the template, on a line of its own.
///
/// Give typed objects rather than JSON values where the fields shall stand in the order of the type, as Docker's
/// do; templates see them sorted.
///
/// Docker runs the template over a struct and, if that fails, over the JSON itself, in which a missing key is a
/// mistake; what it reports is the second failure. `kind` says what the struct is like.
///
/// # Errors
/// [`InspectError`]. As with Docker, the objects before the one that failed have been printed, and a line end if
/// there were none.
pub fn print_inspect(
    out: &mut impl Write,
    format: Option<&str>,
    objects: &[impl Serialize],
    kind: Type<'_>,
) -> Result<(), InspectError> {
    let format = match format {
        None | Some("") => {
            let mut serializer = Serializer::with_formatter(&mut *out, PrettyFormatter::with_indent(b"    "));
            objects.serialize(&mut serializer)?;
            return Ok(out.write_all(b"\n")?);
        }
        Some("json") => {
            return Ok(writeln!(out, "{}", json(&objects, false)?)?);
        }
        Some(format) => format,
    };
    let template = Template::parse(format).map_err(InspectError::Template)?;
    let typed = Options { data: Data::Struct(kind), ..Options::default() };
    let raw = Options { missing: MissingKey::Error, ..Options::default() };
    let mut shown = String::new();
    let mut failed = None;
    for object in objects {
        let object = serde_json::to_value(object)?;
        match template.render(&object, &typed).or_else(|_| template.render(&object, &raw)) {
            Ok(text) => {
                shown.push_str(&text);
                shown.push('\n');
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if shown.is_empty() {
        shown.push('\n');
    }
    out.write_all(shown.as_bytes())?;
    failed.map_or(Ok(()), |error| Err(InspectError::Template(error)))
}

/// Prints one object through a template, or as a line of JSON if the format is `json`: `info`, `version`.
///
/// # Errors
/// [`InspectError`]; a field that the object does not have is named with the type that `kind` gives.
pub fn print_object(
    out: &mut impl Write,
    format: &str,
    object: &impl Serialize,
    kind: Type<'_>,
) -> Result<(), InspectError> {
    if format == "json" {
        return Ok(writeln!(out, "{}", json(object, false)?)?);
    }
    let template = Template::parse(format).map_err(InspectError::Template)?;
    let options = Options { data: Data::Struct(kind), ..Options::default() };
    let object = serde_json::to_value(object)?;
    let text = template.render(&object, &options).map_err(InspectError::Execute)?;
    Ok(writeln!(out, "{text}")?)
}

#[cfg(test)]
mod tests {
    use super::{print_inspect, print_object};
    use crate::template::{Shape, Type};
    use serde_json::{Value, json};

    const KIND: Type<'static> = Type {
        name: "container.InspectResponse",
        shapes: &[
            ("Labels", Shape::StringMap),
            ("Binds", Shape::List),
            ("Env", Shape::List),
            ("Ports", Shape::ListMap),
            ("Networks", Shape::Map),
        ],
    };

    fn object() -> Value {
        json!({
            "Id": "abc",
            "State": {"Health": null, "ExitCode": 0},
            "Config": {"Labels": {"a": "b"}, "Env": ["A=1", "B=2"]},
            "HostConfig": {"Binds": null},
            "NetworkSettings": {
                "Ports": {"80/tcp": [{"HostPort": "8080"}], "81/tcp": null},
                "Networks": {"bridge": {"IPAddress": "172.17.0.2"}},
            },
        })
    }

    /// What is printed, and the message if it failed.
    fn inspect(format: Option<&str>, objects: &[Value]) -> (String, Option<String>) {
        let mut out = Vec::new();
        let error = print_inspect(&mut out, format, objects, KIND).err().map(|error| error.to_string());
        (String::from_utf8(out).unwrap(), error)
    }

    #[test]
    fn without_a_format_it_is_indented_json() {
        let (text, error) = inspect(None, &[json!({"a": [1, {}], "b": []})]);
        assert_eq!(error, None);
        let expected = "[\n    {\n        \"a\": [\n            1,\n            {}\n        ],\n        \"b\": []\n    }\n]\n";
        assert_eq!(text, expected);
        assert_eq!(inspect(Some(""), &[]).0, "[]\n");
        assert_eq!(inspect(Some("json"), &[json!({"a": "<"}), json!(1)]).0, "[{\"a\":\"<\"},1]\n");
    }

    #[test]
    fn typed_objects_keep_their_order() {
        #[derive(serde::Serialize)]
        struct Object {
            id: u8,
            created: f64,
        }
        let mut out = Vec::new();
        print_inspect(&mut out, Some("json"), &[Object { id: 1, created: 2.0 }], KIND).unwrap();
        assert_eq!(out, b"[{\"id\":1,\"created\":2}]\n");
    }

    #[test]
    fn templates_see_what_dockers_see() {
        for (format, expected) in [
            ("{{.Config.Labels.zz}}", "<no value>"),
            ("{{index .Config.Labels \"zz\"}}|{{index .Config.Labels \"a\"}}", "|b"),
            ("{{.HostConfig.Binds}} {{json .HostConfig.Binds}}", "[] null"),
            ("{{.State.Health}}", "<nil>"),
            ("{{eq .State.ExitCode 0}} {{len .Config.Env}}", "true 2"),
            ("{{join .Config.Env \",\"}}\\t", "A=1,B=2\\t"),
            ("{{range $p, $c := .NetworkSettings.Ports}}{{$p}}={{len $c}};{{end}}", "80/tcp=1;81/tcp=0;"),
            ("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "8080"),
            ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "172.17.0.2"),
            ("table {{.Id}}", "table abc"),
        ] {
            assert_eq!(inspect(Some(format), &[object()]), (format!("{expected}\n"), None), "{format}");
        }
    }

    #[test]
    fn mistakes_are_told_in_dockers_words() {
        for (format, printed, message) in [
            ("{{.Foo}}", "\n", ":1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\""),
            ("{{.ID}}", "\n", ":1:2: executing \"\" at <.ID>: map has no entry for key \"ID\""),
            (
                "{{.State.Health.Status}}",
                "\n",
                ":1:8: executing \"\" at <.State.Health.Status>: nil pointer evaluating interface {}.Status",
            ),
            (
                "{{(index (index .NetworkSettings.Ports \"99/tcp\") 0).HostPort}}",
                "\n",
                ":1:3: executing \"\" at <index (index .NetworkSettings.Ports \"99/tcp\") 0>: error calling index: index of untyped nil",
            ),
            (
                "{{(index .NetworkSettings.Networks \"zz\").IPAddress}}",
                "\n",
                ":1:35: executing \"\" at <\"zz\">: nil data; no entry for key \"IPAddress\"",
            ),
            ("{{.Id", "", ":1: unclosed action"),
        ] {
            let expected = Some(format!("template parsing error: template: {message}"));
            assert_eq!(inspect(Some(format), &[object()]), (printed.to_owned(), expected), "{format}");
        }
        let (printed, error) = inspect(Some("{{.Id}}"), &[object(), json!({}), object()]);
        assert_eq!(printed, "abc\n");
        assert!(error.is_some());
    }

    #[test]
    fn one_object_goes_through_its_template() {
        let kind = Type { name: "system.dockerInfo", shapes: &[] };
        let print = |format: &str| {
            let mut out = Vec::new();
            print_object(&mut out, format, &json!({"ID": "a", "NCPU": 2}), kind)
                .map(|()| String::from_utf8(out).unwrap())
                .map_err(|error| error.to_string())
        };
        assert_eq!(print("{{.NCPU}}"), Ok("2\n".to_owned()));
        assert_eq!(print("json"), Ok("{\"ID\":\"a\",\"NCPU\":2}\n".to_owned()));
        assert_eq!(
            print("{{.Foo}}"),
            Err("template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type system.dockerInfo"
                .to_owned())
        );
        assert_eq!(print("{{.Foo"), Err("template parsing error: template: :1: unclosed action".to_owned()));
    }
}
