//! Prints lists (`ps`, `images`, `volume ls`, ...) as `--format` and `--quiet` ask: as Docker's table, as a table of
//! one's own columns, as JSON lines, or through a template.
//!
//! A command describes its list once, in a [`Table`], and hands over its rows as JSON objects. The same objects
//! answer `{{.Names}}`, `{{json .}}` and `--format json`, so the three cannot disagree.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::Value;

use super::table::align;
use crate::template::{self, Data, Methods, Options, Shape, Template, Type};

/// What to say (on stderr) when [`is_overridden`].
pub const QUIET_WARNING: &str = "WARNING: Ignoring custom format, because both --format and --quiet are set.";

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The template cannot be read.
    #[error("failed to parse template: {0}")]
    Parse(#[source] template::Error),
    /// The template asks for what a row does not have.
    #[error("failed to execute template: {0}")]
    Execute(#[source] template::Error),
    /// Standard output takes no more.
    #[error("write to standard output: {0}")]
    Write(#[from] io::Error),
}

/// A list that a command shows.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// The table that is shown if nothing else is asked for: `table {{.ID}}\t{{.Names}}`.
    pub format: &'a str,
    /// The template for `--quiet`: `{{.ID}}`.
    pub quiet: &'a str,
    /// The template for `--format raw`, if the command has one.
    pub raw: Option<&'a str>,
    /// The heading of each field: `("ID", "CONTAINER ID")`. A field of no heading shows `<no value>` there.
    pub headers: &'a [(&'a str, &'a str)],
    /// Fields of a row that are lists or maps; nearly all rows hold nothing but texts.
    pub shapes: &'a [(&'a str, Shape)],
    /// The name of a row's type in messages: `*formatter.ContainerContext`.
    pub type_name: &'a str,
}

/// A row: its fields, and the labels that `{{.Label "name"}}` looks at.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// An object with every field that a template may ask for.
    pub fields: Value,
    /// `None` if rows of this kind have no labels; then `.Label` is an unknown field.
    pub labels: Option<BTreeMap<String, String>>,
}

impl From<Value> for Row {
    fn from(fields: Value) -> Self {
        Self { fields, labels: None }
    }
}

/// Does `--quiet` win over a `--format`? Docker then says [`QUIET_WARNING`].
pub fn is_overridden(format: Option<&str>, quiet: bool) -> bool {
    quiet && format.is_some_and(|format| !format.is_empty())
}

/// Prints `rows` as `format` and `quiet` ask. Nothing is printed unless everything can be.
///
/// # Errors
/// [`FormatError`], in Docker's words.
pub fn print_rows(
    out: &mut impl Write,
    format: Option<&str>,
    table: &Table<'_>,
    quiet: bool,
    rows: &[Row],
) -> Result<(), FormatError> {
    out.write_all(render_rows(format, table, quiet, rows)?.as_bytes())?;
    Ok(())
}

/// As [`print_rows`], to a string.
///
/// # Errors
/// [`FormatError`], but not `Write`.
pub fn render_rows(
    format: Option<&str>,
    table: &Table<'_>,
    quiet: bool,
    rows: &[Row],
) -> Result<String, FormatError> {
    let asked = match format {
        _ if quiet => table.quiet,
        None | Some("" | "table") => table.format,
        Some("raw") => table.raw.unwrap_or("raw"),
        Some("json") => "{{json .}}",
        Some(format) => format,
    };
    // Docker's test is the first letters alone: `tablex` is a table whose lines begin with an x.
    let (source, is_table) = asked.strip_prefix("table").map_or((asked, false), |rest| (rest, true));
    // A shell passes `\t` as two characters.
    let source = source.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n");
    let template = Template::parse(&source).map_err(FormatError::Parse)?;
    let kind = Type { name: table.type_name, shapes: table.shapes };
    let mut body = String::new();
    for row in rows {
        let labels = row.labels.as_ref().map(Labels);
        let methods = labels.as_ref().map(|labels| labels as &dyn Methods);
        let options = Options { data: Data::Row(kind), methods, ..Options::default() };
        template.execute(&row.fields, &options, &mut body).map_err(FormatError::Execute)?;
        body.push('\n');
    }
    if !is_table {
        return Ok(body);
    }
    Ok(align(&format!("{}\n{body}", heading(&template, table))))
}

/// The line above a table: the template run over the headings.
fn heading(template: &Template, table: &Table<'_>) -> String {
    let headers: Value =
        table.headers.iter().map(|(field, heading)| ((*field).to_owned(), Value::from(*heading))).collect();
    let options = Options { header: true, methods: Some(&LabelHeading), ..Options::default() };
    let mut line = String::new();
    // A template that suits the rows may not suit their headings: `{{index .List 0}}` finds a text there. The rows
    // are what was asked for, so the error counts for nothing and, like Docker, we show what came out before it.
    let _ = template.execute(&headers, &options, &mut line);
    line
}

/// `.Label` of a row.
struct Labels<'a>(&'a BTreeMap<String, String>);

impl Methods for Labels<'_> {
    fn arity(&self, name: &str) -> Option<usize> {
        (name == "Label").then_some(1)
    }

    fn call(&self, _name: &str, args: &[&str]) -> Result<Value, String> {
        let label = args.first().and_then(|name| self.0.get(*name));
        Ok(label.cloned().unwrap_or_default().into())
    }
}

/// `.Label` of the headings: the end of the label's name, in words.
struct LabelHeading;

impl Methods for LabelHeading {
    fn arity(&self, name: &str) -> Option<usize> {
        (name == "Label").then_some(1)
    }

    fn call(&self, _name: &str, args: &[&str]) -> Result<Value, String> {
        let name = args.first().copied().unwrap_or_default();
        let end = name.rsplit('.').next().unwrap_or_default();
        Ok(end.replace(['-', '_'], " ").into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, Table, is_overridden, render_rows};
    use serde_json::json;

    const TABLE: Table<'static> = Table {
        format: "table {{.ID}}\t{{.Image}}\t{{.Ports}}\t{{.Names}}",
        quiet: "{{.ID}}",
        raw: Some("container_id: {{.ID}}\nnames: {{.Names}}\n"),
        headers: &[("ID", "CONTAINER ID"), ("Image", "IMAGE"), ("Ports", "PORTS"), ("Names", "NAMES")],
        shapes: &[],
        type_name: "*formatter.ContainerContext",
    };

    fn rows() -> Vec<Row> {
        let labels = [("com.example.foo-bar".to_owned(), "x".to_owned())];
        let fields = json!({
            "ID": "4c01db0b339c", "Image": "nginx:latest", "Ports": "0.0.0.0:8080->80/tcp", "Names": "eager_wozniak",
        });
        vec![Row { fields, labels: Some(labels.into()) }]
    }

    fn shows(format: Option<&str>, quiet: bool, expected: &str) {
        assert_eq!(render_rows(format, &TABLE, quiet, &rows()).unwrap(), expected, "{format:?}");
    }

    #[test]
    fn the_default_is_a_table() {
        let table = "\
CONTAINER ID   IMAGE          PORTS                  NAMES
4c01db0b339c   nginx:latest   0.0.0.0:8080->80/tcp   eager_wozniak
";
        for format in [None, Some(""), Some("table")] {
            shows(format, false, table);
        }
        let empty = render_rows(None, &TABLE, false, &[]).unwrap();
        assert_eq!(empty, "CONTAINER ID   IMAGE     PORTS     NAMES\n");
    }

    #[test]
    fn tables_of_ones_own_have_dockers_headings() {
        shows(
            Some(r#"table {{.ID}}\t{{.Names}}\t{{.Label "com.example.foo-bar"}}"#),
            false,
            "CONTAINER ID   NAMES           foo bar\n4c01db0b339c   eager_wozniak   x\n",
        );
        shows(
            Some(r#"table {{upper .ID}}|{{printf "%5s" .Names}}\t{{pad .Names 2 3}}"#),
            false,
            "CONTAINER ID|NAMES             NAMES   \n4C01DB0B339C|eager_wozniak     eager_wozniak   \n",
        );
        shows(
            Some("table {{truncate .ID 3}}\\t{{json .Names}}"),
            false,
            "CONTAINER ID   NAMES\n4c0            \"eager_wozniak\"\n",
        );
        shows(
            Some(
                "table {{.ID}}\\t{{join (split .Names \"_\") \" \"}}\\t{{range split .Names \"_\"}}{{.}}{{end}}",
            ),
            false,
            "CONTAINER ID   NAMES           \n4c01db0b339c   eager wozniak   eagerwozniak\n",
        );
        shows(Some("tablex{{.ID}}"), false, "xCONTAINER ID\nx4c01db0b339c\n");
        shows(Some("table "), false, "\n\n");
    }

    #[test]
    fn templates_json_raw_and_quiet() {
        shows(Some("{{.ID}}: {{.Names}}"), false, "4c01db0b339c: eager_wozniak\n");
        shows(Some(" {{.ID}}\\t{{.Names}} "), false, "4c01db0b339c\teager_wozniak\n");
        let line = "{\"ID\":\"4c01db0b339c\",\"Image\":\"nginx:latest\",\"Names\":\"eager_wozniak\",\"Ports\":\"0.0.0.0:8080-\\u003e80/tcp\"}\n";
        shows(Some("json"), false, line);
        shows(Some("{{json .}}"), false, line);
        shows(Some("{{json .Ports}}"), false, "\"0.0.0.0:8080->80/tcp\"\n");
        shows(Some("raw"), false, "container_id: 4c01db0b339c\nnames: eager_wozniak\n\n");
        shows(None, true, "4c01db0b339c\n");
        shows(Some("{{.Names}}"), true, "4c01db0b339c\n");
        shows(Some("pretty"), false, "pretty\n");
        assert!(is_overridden(Some("json"), true) && !is_overridden(None, true));
    }

    #[test]
    fn mistakes_are_told_in_dockers_words() {
        for (format, message) in [
            (
                "{{.Foo}}",
                "failed to execute template: template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext",
            ),
            ("{{.ID", "failed to parse template: template: :1: unclosed action"),
            (
                "{{.Label}}",
                "failed to execute template: template: :1:2: executing \"\" at <.Label>: wrong number of args for Label: want 1 got 0",
            ),
        ] {
            let error = render_rows(Some(format), &TABLE, false, &rows()).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let row = Row::from(json!({"ID": "a"}));
        assert!(
            render_rows(Some("{{.Label \"a\"}}"), &TABLE, false, &[row]).is_err(),
            "no labels, no .Label"
        );
    }
}
