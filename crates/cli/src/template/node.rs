//! The tree that the parser makes of a template, and how its parts are spelt in messages.
//!
//! Every part keeps its byte position, and its `Display` gives the canonical spelling: Go's messages quote it
//! (`executing "" at <.Foo>`), so it is part of what users see.

use std::fmt::{self, Display, Formatter};

/// A run of statements.
pub(super) type List = Vec<Node>;

/// One statement.
#[derive(Debug)]
pub(super) enum Node {
    /// Text to copy.
    Text(String),
    /// `{{pipeline}}`
    Action(Pipe),
    /// `{{if}}`, `{{with}}` or `{{range}}`.
    Branch { kind: Branch, pipe: Pipe, body: List, otherwise: Option<List> },
    /// `{{template "name" pipeline}}`
    Template { name: String, pos: usize, pipe: Option<Pipe> },
    /// `{{break}}`
    Break,
    /// `{{continue}}`
    Continue,
}

/// Which statement with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branch {
    If,
    With,
    Range,
}

/// Commands that feed each other, and the variables that take the result.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) pos: usize,
    /// Names with their `$`.
    pub(super) variables: Vec<String>,
    /// `=` rather than `:=`.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

/// A word and its arguments.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) pos: usize,
    pub(super) args: Vec<Expr>,
}

/// An operand.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) pos: usize,
    pub(super) kind: ExprKind,
}

/// What an operand is.
#[derive(Debug)]
pub(super) enum ExprKind {
    Dot,
    Nil,
    Bool(bool),
    /// The spelling and the value.
    Number(String, serde_json::Number),
    /// The spelling, quotes included, and the value.
    Str(String, String),
    /// The name of a function.
    Identifier(String),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A`: the name with its `$`, then the fields.
    Variable(String, Vec<String>),
    /// `(pipeline)`
    Pipe(Pipe),
    /// `(pipeline).A.B`
    Chain(Box<Expr>, Vec<String>),
}

impl Display for Branch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
        })
    }
}

impl Display for Pipe {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} {} ", self.variables.join(", "), if self.assigns { "=" } else { ":=" })?;
        }
        separated(f, &self.commands, " | ")
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let args: Vec<_> = self.args.iter().map(Inside).collect();
        separated(f, &args, " ")
    }
}

/// An operand where it is a part of something: there a pipeline needs its parentheses.
struct Inside<'e>(&'e Expr);

impl Display for Inside<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.kind {
            ExprKind::Pipe(_) => write!(f, "({})", self.0),
            _ => write!(f, "{}", self.0),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Dot => f.write_str("."),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Bool(value) => write!(f, "{value}"),
            ExprKind::Number(text, _) | ExprKind::Str(text, _) | ExprKind::Identifier(text) => {
                f.write_str(text)
            }
            ExprKind::Field(names) => fields(f, names),
            ExprKind::Variable(name, names) => {
                f.write_str(name)?;
                fields(f, names)
            }
            ExprKind::Pipe(pipe) => write!(f, "{pipe}"),
            ExprKind::Chain(base, names) => {
                write!(f, "{}", Inside(base))?;
                fields(f, names)
            }
        }
    }
}

fn fields(f: &mut Formatter<'_>, names: &[String]) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}

fn separated(f: &mut Formatter<'_>, parts: &[impl Display], separator: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}
