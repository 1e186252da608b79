//! Runs a template's statements. What stands inside of an action is evaluated in [`super::operands`].
//!
//! The walk follows Go's text/template in what it looks at last before it fails, because that is what a message
//! points to. Two bounds keep a template from taking the machine: how deep it goes and how much it writes.

use serde_json::Value;

use super::functions::element;
use super::node::{Branch, Command, Expr, List, Node, Pipe};
use super::shape::{Inner, Shape, Val};
use super::value::quote;
use super::{Data, Error, Options, Template};

/// How deep statements, parentheses and calls of `template` may nest, all together.
const MAX_DEPTH: usize = 200;

/// How far `range` over a number goes.
const MAX_COUNT: i64 = 1 << 20;

/// What a statement leaves to do.
#[derive(PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// What is being looked at, for messages.
#[derive(Clone, Copy)]
pub(super) enum At<'t> {
    Expr(&'t Expr),
    Command(&'t Command),
    Pipe(&'t Pipe),
    Template { name: &'t str, pos: usize, pipe: Option<&'t Pipe> },
}

/// A run of a template over a value.
pub(super) struct Run<'t, 'd> {
    template: &'t Template,
    pub(super) options: &'d Options<'d>,
    out: &'t mut String,
    /// Variables in scope with their `$`, innermost last.
    variables: Vec<(&'t str, Val<'d>)>,
    at: Option<At<'t>>,
    /// The name of the template being run: empty for the outermost.
    name: &'t str,
    depth: usize,
}

impl<'t, 'd> Run<'t, 'd> {
    pub(super) fn new(
        template: &'t Template,
        data: &'d Value,
        options: &'d Options<'d>,
        out: &'t mut String,
    ) -> Self {
        let inner = match options.data {
            Data::Json => Inner::Known(Shape::Plain),
            Data::Struct(_) => Inner::Root,
            Data::Row(_) => Inner::Row,
        };
        let variables = vec![("$", Val::borrowed(data, inner))];
        Self { template, options, out, variables, at: None, name: "", depth: 0 }
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        let template = self.template;
        let dot = self.variable("$")?;
        self.list(&template.tree.body, &dot).map(|_| ())
    }

    /// Sets what a message would point to.
    pub(super) fn at(&mut self, at: At<'t>) {
        self.at = Some(at);
    }

    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Result<T, Error> {
        let (pos, context) = match self.at {
            None => (0, String::new()),
            Some(At::Expr(expr)) => (expr.pos, expr.to_string()),
            Some(At::Command(command)) => (command.pos, command.to_string()),
            Some(At::Pipe(pipe)) => (pipe.pos, pipe.to_string()),
            Some(At::Template { name, pos, pipe }) => {
                let pipe = pipe.map(|pipe| format!(" {pipe}")).unwrap_or_default();
                (pos, format!("{{{{template {}{pipe}}}}}", quote(name)))
            }
        };
        let before = self.template.source.get(..pos).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Err(Error::Execute {
            line: before.matches('\n').count() + 1,
            column: pos.saturating_sub(line_start),
            template: self.name.to_owned(),
            context,
            message: message.into(),
        })
    }

    /// Runs `step` one level deeper.
    pub(super) fn deeper<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= MAX_DEPTH {
            return self.fail(format!("exceeded maximum template depth ({MAX_DEPTH})"));
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    pub(super) fn variable(&self, name: &str) -> Result<Val<'d>, Error> {
        match self.variables.iter().rev().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => self.fail(format!("undefined variable: {name}")),
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        let limit = self.options.max_output;
        if text.len() > limit.saturating_sub(self.out.len()) {
            return self.fail(format!("the output is longer than {limit} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn list(&mut self, list: &'t List, dot: &Val<'d>) -> Result<Flow, Error> {
        self.deeper(|run| {
            for node in list {
                let flow = run.node(node, dot)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
            Ok(Flow::Next)
        })
    }

    fn node(&mut self, node: &'t Node, dot: &Val<'d>) -> Result<Flow, Error> {
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Action(pipe) => {
                let value = self.declaring(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.write(&value.display())?;
                }
            }
            Node::Branch { kind, pipe, body, otherwise } => {
                let scope = self.variables.len();
                let flow = match kind {
                    Branch::Range => self.range(pipe, body, otherwise.as_ref(), dot),
                    _ => self.choose(*kind, pipe, body, otherwise.as_ref(), dot),
                };
                self.variables.truncate(scope);
                return flow;
            }
            Node::Template { name, pos, pipe } => self.call(name, *pos, pipe.as_ref(), dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    /// A pipeline's value, given to the variables that the pipeline names.
    fn declaring(&mut self, pipe: &'t Pipe, dot: &Val<'d>) -> Result<Val<'d>, Error> {
        let value = self.pipeline(pipe, dot)?;
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: Val<'d>) -> Result<(), Error> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => self.fail(format!("undefined variable: {name}")),
        }
    }

    /// `if` and `with`.
    fn choose(
        &mut self,
        kind: Branch,
        pipe: &'t Pipe,
        body: &'t List,
        otherwise: Option<&'t List>,
        dot: &Val<'d>,
    ) -> Result<Flow, Error> {
        let value = self.declaring(pipe, dot)?;
        if value.is_true() {
            let dot = if kind == Branch::With { &value } else { dot };
            return self.list(body, dot);
        }
        otherwise.map_or(Ok(Flow::Next), |list| self.list(list, dot))
    }

    fn range(
        &mut self,
        pipe: &'t Pipe,
        body: &'t List,
        otherwise: Option<&'t List>,
        dot: &Val<'d>,
    ) -> Result<Flow, Error> {
        let value = self.pipeline(pipe, dot)?;
        let scope = self.variables.len();
        let mut empty = true;
        for (key, item) in self.items(&value)? {
            empty = false;
            match pipe.variables.as_slice() {
                [] => {}
                [one] => self.bind(pipe, one, item.clone())?,
                [first, second, ..] => {
                    self.bind(pipe, first, Val::owned(key))?;
                    self.bind(pipe, second, item.clone())?;
                }
            }
            let flow = self.list(body, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        match otherwise {
            Some(list) if empty => self.list(list, dot),
            _ => Ok(Flow::Next),
        }
    }

    fn bind(&mut self, pipe: &Pipe, name: &'t str, value: Val<'d>) -> Result<(), Error> {
        if pipe.assigns {
            return self.assign(name, value);
        }
        self.variables.push((name, value));
        Ok(())
    }

    /// What `range` goes over: keys and values, maps in the order of their keys.
    fn items(&self, value: &Val<'d>) -> Result<Vec<(Value, Val<'d>)>, Error> {
        let inner = element(value);
        let part = |get: &dyn for<'v> Fn(&'v Value) -> Option<&'v Value>| {
            value.part(inner, get).unwrap_or(Val::MISSING)
        };
        Ok(match value.value() {
            Value::Array(items) => {
                (0..items.len()).map(|index| (index.into(), part(&|value| value.get(index)))).collect()
            }
            Value::Object(map) if !value.inner.is_struct() => {
                let mut keys: Vec<&String> = map.keys().collect();
                keys.sort();
                keys.into_iter().map(|key| (key.as_str().into(), part(&|value| value.get(key)))).collect()
            }
            Value::Number(number) if number.as_i64().is_some_and(|count| count <= MAX_COUNT) => {
                (0..number.as_i64().unwrap_or(0)).map(|n| (n.into(), Val::owned(n))).collect()
            }
            Value::Null if value.is_missing() || !value.is_nil() => Vec::new(),
            _ => return self.fail(format!("range can't iterate over {}", value.display())),
        })
    }

    fn call(
        &mut self,
        name: &'t str,
        pos: usize,
        pipe: Option<&'t Pipe>,
        dot: &Val<'d>,
    ) -> Result<(), Error> {
        self.at(At::Template { name, pos, pipe });
        let template = self.template;
        let Some(body) = template.tree.named.get(name) else {
            return self.fail(format!("template {} not defined", quote(name)));
        };
        let argument = match pipe {
            Some(pipe) => self.declaring(pipe, dot)?,
            None => Val::MISSING,
        };
        let variables = std::mem::replace(&mut self.variables, vec![("$", argument.clone())]);
        let outer = std::mem::replace(&mut self.name, name);
        self.list(body, &argument)?;
        self.variables = variables;
        self.name = outer;
        Ok(())
    }
}
