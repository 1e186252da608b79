//! Docker's `--format`: Go's text/template over JSON.
//!
//! `docker ps --format '{{.Names}}: {{json .Ports}}'` is a program in the language of Go's text/template
//! (<https://pkg.go.dev/text/template>) with a few functions of Docker's
//! (<https://docs.docker.com/engine/cli/formatting/>). People have thousands of such lines in scripts, so this is
//! that language whole, to the byte of its output and nearly to the byte of its messages, and no more than that.
//!
//! ```text
//! "{{range .Ports}}{{.}} {{end}}"
//!      │ lexer      tokens
//!      │ parse      statements: if, range, with, template      pipeline   what stands in an action
//!      │            literal: numbers and strings               node       the tree
//!      ▼
//!    Template ── over a JSON value ──▶ text
//!        eval       statements         operands   pipelines, fields, calls
//!        functions  index, json, ...   compare    eq, lt, ...     printf    %-10s
//!        shape      what Go would know of a value's type          value     how Go prints it
//! ```
//!
//! Docker's templates see Go structs, ours see JSON. [`Options::data`] says what to make of an object: a map, in
//! which a missing key is `<no value>` (or an error, see [`MissingKey`]), or a struct, in which it is a mistake.
//!
//! What differs from Go: structs print as maps (`map[a:1]`, not `{1}`), `slice` and `truncate` cut no character in
//! two, numbers have 64 bits and are not complex, and nesting, text and output have bounds.

mod compare;
mod eval;
mod functions;
mod lexer;
mod literal;
mod node;
mod operands;
mod parse;
mod pipeline;
mod printf;
mod shape;
#[cfg(test)]
mod tests;
mod value;

pub use printf::sprintf;
pub use shape::Shape;
pub use value::json;

use serde_json::Value;

/// A parsed template, to be run over any number of values.
#[derive(Debug)]
pub struct Template {
    source: String,
    tree: parse::Tree,
}

/// What is wrong with a template, in Go's words. Docker's commands put words of their own before it
/// (`template parsing error: `).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("template: :{line}: {message}")]
    Parse {
        /// The line, from 1.
        line: usize,
        /// What was found there.
        message: String,
    },
    /// It cannot be run over this value.
    #[error("template: :{line}:{column}: executing {} at <{context}>: {message}", value::quote(template))]
    Execute {
        /// The line, from 1.
        line: usize,
        /// The byte in the line, from 0.
        column: usize,
        /// The name of the template that was running: empty unless `define` or `block` named it.
        template: String,
        /// The part of the template that failed.
        context: String,
        /// Why it failed.
        message: String,
    },
}

/// What an absent key of a map is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// Nothing: it prints as `<no value>`.
    #[default]
    NoValue,
    /// A mistake: `map has no entry for key "Foo"`. Docker's `inspect` is that strict about raw JSON.
    Error,
}

/// A Go struct, as far as templates can tell.
#[derive(Clone, Copy, Debug)]
pub struct Type<'a> {
    /// Its name in messages: `can't evaluate field Foo in type *formatter.ContainerContext`. May be empty.
    pub name: &'a str,
    /// Fields, at any depth, that are maps or lists: `("Labels", Shape::StringMap)`. All others are structs,
    /// pointers to structs, or plain.
    pub shapes: &'a [(&'a str, Shape)],
}

/// What the JSON stands for.
#[derive(Clone, Copy, Debug, Default)]
pub enum Data<'a> {
    /// Itself: objects are maps.
    #[default]
    Json,
    /// A Go struct, all of whose fields the JSON has, such as what `inspect` and `info` show.
    Struct(Type<'a>),
    /// A row of a list such as `ps`: as `Struct`, and it may have methods, and its own JSON escapes `<`, `>`, `&`.
    Row(Type<'a>),
}

/// Functions that belong to a value, such as `.Label "name"` of a row.
pub trait Methods {
    /// How many arguments the method of that name takes (all are strings), `None` if there is no such method.
    fn arity(&self, name: &str) -> Option<usize>;

    /// Calls it with that many arguments.
    ///
    /// # Errors
    /// The message goes behind `error calling NAME: `.
    fn call(&self, name: &str, args: &[&str]) -> Result<Value, String>;
}

/// How to run a template.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// What the JSON stands for.
    pub data: Data<'a>,
    /// What an absent key of a map is.
    pub missing: MissingKey,
    /// The methods of the value that the template runs on, if it is a row or a header.
    pub methods: Option<&'a dyn Methods>,
    /// The value holds a table's headings, which `json`, `split`, `join`, `title`, `lower`, `upper` and `truncate`
    /// leave alone.
    pub header: bool,
    /// The most that may be written, in bytes.
    pub max_output: usize,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            data: Data::Json,
            missing: MissingKey::NoValue,
            methods: None,
            header: false,
            max_output: 256 << 20,
        }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`Error::Parse`]: it is not well-formed, nests deeper than 100 levels, or calls an unknown function.
    pub fn parse(source: &str) -> Result<Self, Error> {
        Ok(Self { source: source.to_owned(), tree: parse::parse(source)? })
    }

    /// Runs the template over `data` and adds what it prints to `out`, which keeps what was printed before a mistake.
    ///
    /// # Errors
    /// [`Error::Execute`]: the template asks for what the value does not have, or goes beyond a bound.
    pub fn execute(&self, data: &Value, options: &Options<'_>, out: &mut String) -> Result<(), Error> {
        let bounded = Options { max_output: options.max_output.saturating_add(out.len()), ..*options };
        eval::Run::new(self, data, &bounded, out).run()
    }

    /// Runs the template over `data` and gives what it prints.
    ///
    /// # Errors
    /// As [`Template::execute`].
    pub fn render(&self, data: &Value, options: &Options<'_>) -> Result<String, Error> {
        let mut out = String::new();
        self.execute(data, options, &mut out)?;
        Ok(out)
    }
}
