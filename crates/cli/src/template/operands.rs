//! Evaluates what stands inside of an action: pipelines, commands, operands, fields and calls.

use serde_json::Value;

use super::eval::{At, Run};
use super::functions::{self, Param};
use super::node::{Command, Expr, ExprKind, Pipe};
use super::shape::{Inner, Shape, Val};
use super::value::quote;
use super::{Data, Error, MissingKey};

/// Functions that leave a column's heading as it is: a heading is no JSON and no list, and keeps its case.
const NOT_FOR_HEADERS: [&str; 7] = ["join", "json", "lower", "split", "title", "truncate", "upper"];

/// What a command gives to its first word: the words that follow it, and what was piped in.
#[derive(Clone, Copy)]
struct Given<'g, 't, 'd> {
    words: &'t [Expr],
    piped: Option<&'g Val<'d>>,
}

impl Given<'_, '_, '_> {
    const NOTHING: Self = Self { words: &[], piped: None };

    fn count(&self) -> usize {
        self.words.len() + usize::from(self.piped.is_some())
    }
}

impl<'t, 'd> Run<'t, 'd> {
    pub(super) fn pipeline(&mut self, pipe: &'t Pipe, dot: &Val<'d>) -> Result<Val<'d>, Error> {
        self.at(At::Pipe(pipe));
        let mut value = None;
        for command in &pipe.commands {
            let piped = value.take();
            value = Some(self.command(command, dot, piped.as_ref())?.unwrapped());
        }
        Ok(value.unwrap_or(Val::MISSING))
    }

    fn command(
        &mut self,
        command: &'t Command,
        dot: &Val<'d>,
        piped: Option<&Val<'d>>,
    ) -> Result<Val<'d>, Error> {
        let Some((first, words)) = command.args.split_first() else { return self.fail("empty command") };
        let given = Given { words, piped };
        match &first.kind {
            ExprKind::Field(_) | ExprKind::Chain(..) | ExprKind::Variable(..) => {
                self.chain(first, dot, given)
            }
            ExprKind::Identifier(name) => {
                self.at(At::Expr(first));
                self.function(name, At::Command(command), dot, given)
            }
            ExprKind::Pipe(_) => {
                self.no_arguments(first, given)?;
                self.operand(first, dot)
            }
            ExprKind::Nil => {
                self.at(At::Expr(first));
                self.fail("nil is not a command")
            }
            _ => {
                self.at(At::Expr(first));
                self.no_arguments(first, given)?;
                self.operand(first, dot)
            }
        }
    }

    fn no_arguments(&self, expr: &Expr, given: Given<'_, 't, 'd>) -> Result<(), Error> {
        match given.count() {
            0 => Ok(()),
            _ => self.fail(format!("can't give argument to non-function {expr}")),
        }
    }

    /// An operand that takes no arguments.
    fn operand(&mut self, expr: &'t Expr, dot: &Val<'d>) -> Result<Val<'d>, Error> {
        self.at(At::Expr(expr));
        Ok(match &expr.kind {
            ExprKind::Dot => dot.clone(),
            ExprKind::Nil => Val::owned(Value::Null),
            ExprKind::Bool(value) => Val::owned(*value),
            ExprKind::Number(_, number) => Val::owned(Value::Number(number.clone())),
            ExprKind::Str(_, text) => Val::owned(text.as_str()),
            ExprKind::Identifier(name) => self.function(name, At::Expr(expr), dot, Given::NOTHING)?,
            ExprKind::Pipe(pipe) => self.deeper(|run| run.pipeline(pipe, dot))?,
            ExprKind::Field(_) | ExprKind::Variable(..) | ExprKind::Chain(..) => {
                self.chain(expr, dot, Given::NOTHING)?
            }
        })
    }

    /// A value and the fields that follow it; arguments go to the last one.
    fn chain(&mut self, expr: &'t Expr, dot: &Val<'d>, given: Given<'_, 't, 'd>) -> Result<Val<'d>, Error> {
        self.at(At::Expr(expr));
        let (mut value, names) = match &expr.kind {
            ExprKind::Field(names) => (dot.clone(), names),
            ExprKind::Variable(name, names) => {
                let value = self.variable(name)?;
                if names.is_empty() {
                    self.no_arguments(expr, given)?;
                }
                (value, names)
            }
            ExprKind::Chain(base, _) if matches!(base.kind, ExprKind::Nil) => {
                return self.fail(format!("indirection through explicit nil in {expr}"));
            }
            ExprKind::Chain(base, names) => (self.operand(base, dot)?, names),
            _ => return self.operand(expr, dot),
        };
        let last = names.len().saturating_sub(1);
        for (index, name) in names.iter().enumerate() {
            let given = if index == last { given } else { Given::NOTHING };
            value = self.field(expr, &value, name, dot, given)?;
        }
        Ok(value)
    }

    fn field(
        &mut self,
        expr: &'t Expr,
        receiver: &Val<'d>,
        name: &'t str,
        dot: &Val<'d>,
        given: Given<'_, 't, 'd>,
    ) -> Result<Val<'d>, Error> {
        let strict = self.options.missing == MissingKey::Error;
        if receiver.is_missing() {
            return match strict {
                true => self.fail(format!("nil data; no entry for key {}", quote(name))),
                false => Ok(Val::MISSING),
            };
        }
        if let Some(value) = self.method(expr, receiver, name, dot, given) {
            return value;
        }
        let is_struct = receiver.inner.is_struct();
        match receiver.value() {
            Value::Object(map) if given.count() > 0 => match (receiver.inner, map.contains_key(name)) {
                (Inner::Row, true) => {
                    self.fail(format!("wrong number of args for {name}: want 0 got {}", given.count()))
                }
                (Inner::Struct | Inner::Root, true) => {
                    self.fail(format!("{name} has arguments but cannot be invoked as function"))
                }
                (_, false) if is_struct => self.no_field(receiver, name),
                _ => self.fail(format!("{name} is not a method but has arguments")),
            },
            Value::Object(_) => match receiver.part(self.inner_of(receiver, name), |value| value.get(name)) {
                Some(value) => Ok(value),
                None if is_struct => self.no_field(receiver, name),
                None if strict => self.fail(format!("map has no entry for key {}", quote(name))),
                None => Ok(Val::MISSING),
            },
            Value::Null if receiver.is_map() => match strict {
                true => self.fail(format!("map has no entry for key {}", quote(name))),
                false => Ok(Val::MISSING),
            },
            Value::Null => self.fail(format!("nil pointer evaluating interface {{}}.{name}")),
            _ => self.no_field(receiver, name),
        }
    }

    /// What a field is, by its name and by what holds it.
    fn inner_of(&self, receiver: &Val<'d>, name: &str) -> Inner {
        if !receiver.inner.is_struct() {
            return functions::element(receiver);
        }
        let shapes = match self.options.data {
            Data::Json => &[],
            Data::Struct(kind) | Data::Row(kind) => kind.shapes,
        };
        let declared = shapes.iter().find(|(known, _)| *known == name).map(|(_, shape)| *shape);
        declared.map_or(Inner::Struct, Inner::Known)
    }

    fn no_field(&self, receiver: &Val<'d>, name: &str) -> Result<Val<'d>, Error> {
        let kind = match (receiver.inner, self.options.data) {
            (Inner::Row | Inner::Root, Data::Row(kind) | Data::Struct(kind)) => kind.name,
            (Inner::Struct, _) => "",
            (Inner::Dynamic, _) => "interface {}",
            _ => receiver.go_type(),
        };
        let kind = if kind.is_empty() { String::new() } else { format!(" in type {kind}") };
        self.fail(format!("can't evaluate field {name}{kind}"))
    }

    /// The result of a method, if the receiver has one of that name.
    fn method(
        &mut self,
        expr: &'t Expr,
        receiver: &Val<'d>,
        name: &'t str,
        dot: &Val<'d>,
        given: Given<'_, 't, 'd>,
    ) -> Option<Result<Val<'d>, Error>> {
        let header = self.options.header && receiver.inner == Inner::Known(Shape::Plain);
        let methods = self.options.methods.filter(|_| header || receiver.inner == Inner::Row)?;
        let arity = methods.arity(name)?;
        Some(self.call_method(expr, methods, arity, name, dot, given))
    }

    fn call_method(
        &mut self,
        expr: &'t Expr,
        methods: &dyn super::Methods,
        arity: usize,
        name: &str,
        dot: &Val<'d>,
        given: Given<'_, 't, 'd>,
    ) -> Result<Val<'d>, Error> {
        if given.count() != arity {
            return self.fail(format!("wrong number of args for {name}: want {arity} got {}", given.count()));
        }
        let args = self.arguments(&vec![Param::Text; arity], dot, given)?;
        let texts: Vec<&str> = args.iter().filter_map(|arg| arg.value().as_str()).collect();
        methods.call(name, &texts).map(Val::owned).or_else(|message| {
            self.at(At::Expr(expr));
            self.fail(format!("error calling {name}: {message}"))
        })
    }

    fn function(
        &mut self,
        name: &str,
        at: At<'t>,
        dot: &Val<'d>,
        given: Given<'_, 't, 'd>,
    ) -> Result<Val<'d>, Error> {
        if matches!(name, "and" | "or") {
            return self.and_or(name, dot, given);
        }
        let Some(function) = functions::find(name) else {
            return self.fail(format!("{} is not a defined function", quote(name)));
        };
        let (got, want) = (given.count(), function.params.len());
        if function.variadic && got + 1 < want {
            let want = want - 1;
            return self.fail(format!("wrong number of args for {name}: want at least {want} got {got}"));
        }
        if !function.variadic && got != want {
            return self.fail(format!("wrong number of args for {name}: want {want} got {got}"));
        }
        let keeps = self.options.header && NOT_FOR_HEADERS.contains(&name);
        let args = self.arguments(if keeps { &[Param::Any] } else { function.params }, dot, given)?;
        let result = match args.first() {
            Some(first) if keeps => Ok(first.clone()),
            _ => (function.call)(&args),
        };
        result.or_else(|message| {
            self.at(at);
            self.fail(format!("error calling {name}: {message}"))
        })
    }

    /// They stop at the first argument that settles them.
    fn and_or(&mut self, name: &str, dot: &Val<'d>, given: Given<'_, 't, 'd>) -> Result<Val<'d>, Error> {
        if given.count() == 0 {
            return self.fail(format!("wrong number of args for {name}: want at least 1 got 0"));
        }
        let mut value = Val::MISSING;
        for word in given.words {
            value = self.operand(word, dot)?;
            if value.is_true() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(given.piped.cloned().unwrap_or(value))
    }

    /// The arguments' values; the last parameter takes all that are left.
    fn arguments(
        &mut self,
        params: &[Param],
        dot: &Val<'d>,
        given: Given<'_, 't, 'd>,
    ) -> Result<Vec<Val<'d>>, Error> {
        let mut values = Vec::with_capacity(given.count());
        let param = |index: usize| params.get(index).or(params.last()).copied().unwrap_or(Param::Any);
        for (index, word) in given.words.iter().enumerate() {
            values.push(self.argument(param(index), word, dot)?);
        }
        if let Some(piped) = given.piped {
            self.fits(param(values.len()), piped)?;
            values.push(piped.clone());
        }
        Ok(values)
    }

    fn argument(&mut self, param: Param, word: &'t Expr, dot: &Val<'d>) -> Result<Val<'d>, Error> {
        self.at(At::Expr(word));
        let literal = matches!(word.kind, ExprKind::Bool(_) | ExprKind::Number(..) | ExprKind::Str(..));
        let fits = match (param, &word.kind) {
            (Param::Text, ExprKind::Nil) => return self.fail("cannot assign nil to string"),
            (Param::Int, ExprKind::Nil) => return self.fail("cannot assign nil to int"),
            (Param::List, _) if literal => {
                return self.fail(format!("can't handle {word} for arg of type []string"));
            }
            (Param::Text, ExprKind::Str(..)) | (Param::Any, _) => true,
            (Param::Int, ExprKind::Number(_, number)) => number.is_i64(),
            _ => !literal,
        };
        if !fits {
            let expected = if param == Param::Text { "string" } else { "integer" };
            return self.fail(format!("expected {expected}; found {word}"));
        }
        let value = self.operand(word, dot)?;
        self.fits(param, &value)?;
        Ok(value)
    }

    fn fits(&self, param: Param, value: &Val<'d>) -> Result<(), Error> {
        let (expected, fits) = match param {
            Param::Any => return Ok(()),
            Param::Text => ("string", value.value().is_string()),
            Param::Int => ("int", value.value().is_i64()),
            Param::List => {
                ("[]string", value.value().is_array() || value.value().is_null() && value.is_list())
            }
        };
        match value.value() {
            _ if fits => Ok(()),
            _ if value.is_missing() => self.fail(format!("invalid value; expected {expected}")),
            Value::Null => {
                self.fail(format!("wrong type for value; expected {expected}; got interface {{}}"))
            }
            _ => self.fail(format!("wrong type for value; expected {expected}; got {}", value.go_type())),
        }
    }
}
