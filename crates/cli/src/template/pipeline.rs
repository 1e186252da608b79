//! Parses what stands inside of an action: pipelines, commands and operands.

use super::Error;
use super::functions;
use super::lexer::{Kind, Token};
use super::literal;
use super::node::{Command, Expr, ExprKind, Pipe};
use super::parse::Parser;
use super::value::quote;

impl Parser {
    /// A pipeline up to and with `end`; `context` is the statement's name in messages.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe, Error> {
        let pos = self.peek_non_space().pos;
        let mut pipe = Pipe { pos, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => {
                    self.check(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawStr
                | Kind::Str
                | Kind::Variable
                | Kind::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return Err(self.unexpected(&token, context)),
            }
        }
    }

    /// `$x :=`, `$x =`, and for `range` also `$i, $x :=`.
    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Result<(), Error> {
        loop {
            let name = self.peek_non_space();
            if name.kind != Kind::Variable {
                return Ok(());
            }
            self.next();
            // Spaces matter after a variable (`$x .Y` is not `$x.Y`), so they must not be lost if this is none.
            let space = self.peek().kind == Kind::Space;
            let token = self.peek_non_space();
            match token.kind {
                Kind::Assign | Kind::Declare => {
                    pipe.assigns = token.kind == Kind::Assign;
                    self.next_non_space();
                    pipe.variables.push(name.text.clone());
                    self.variables.push(name.text);
                    return Ok(());
                }
                Kind::Char if token.text == "," => {
                    self.next_non_space();
                    pipe.variables.push(name.text.clone());
                    self.variables.push(name.text);
                    if context != "range" || pipe.variables.len() >= 2 {
                        return Err(self.error(format!("too many declarations in {context}")));
                    }
                    let peek = self.peek_non_space();
                    if !matches!(peek.kind, Kind::Variable | Kind::Right | Kind::RightParen) {
                        return Err(self.error("range can only initialize variables"));
                    }
                }
                _ => {
                    if space {
                        self.backup();
                    }
                    self.backup();
                    return Ok(());
                }
            }
        }
    }

    fn check(&self, pipe: &Pipe, context: &str) -> Result<(), Error> {
        if pipe.commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        // A value that something is piped into cannot take it.
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            let value = command.args.first().is_some_and(|first| {
                matches!(
                    first.kind,
                    ExprKind::Bool(_)
                        | ExprKind::Dot
                        | ExprKind::Nil
                        | ExprKind::Number(..)
                        | ExprKind::Str(..)
                )
            });
            if value {
                let message = format!("non executable command in pipeline stage {}", index + 1);
                return Err(self.error(message));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command, Error> {
        let mut command = Command { pos: self.peek_non_space().pos, args: Vec::new() };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::Right | Kind::RightParen => self.backup(),
                Kind::Pipe => {}
                _ => return Err(self.unexpected(&token, "operand")),
            }
            break;
        }
        if command.args.is_empty() {
            return Err(self.error("empty command"));
        }
        Ok(command)
    }

    /// A term and the fields that follow it.
    fn operand(&mut self) -> Result<Option<Expr>, Error> {
        let Some(mut expr) = self.term()? else { return Ok(None) };
        let first = self.peek();
        if first.kind != Kind::Field {
            return Ok(Some(expr));
        }
        let mut names = Vec::new();
        while self.peek().kind == Kind::Field {
            names.push(field_name(&self.next()));
        }
        match &mut expr.kind {
            // Go counts columns from the second field of a chain; so do we.
            ExprKind::Field(fields) | ExprKind::Variable(_, fields) => {
                fields.append(&mut names);
                expr.pos = first.pos;
            }
            ExprKind::Bool(_) | ExprKind::Str(..) | ExprKind::Number(..) | ExprKind::Nil | ExprKind::Dot => {
                return Err(self.error(format!("unexpected . after term {}", quote(&expr.to_string()))));
            }
            ExprKind::Identifier(_) | ExprKind::Pipe(_) | ExprKind::Chain(..) => {
                expr = Expr { pos: first.pos, kind: ExprKind::Chain(Box::new(expr), names) };
            }
        }
        Ok(Some(expr))
    }

    fn term(&mut self) -> Result<Option<Expr>, Error> {
        let token = self.next_non_space();
        let kind = match token.kind {
            Kind::Identifier if functions::exists(&token.text) => ExprKind::Identifier(token.text),
            Kind::Identifier => {
                return Err(self.error(format!("function {} not defined", quote(&token.text))));
            }
            Kind::Dot => ExprKind::Dot,
            Kind::Nil => ExprKind::Nil,
            Kind::Variable if self.variables.contains(&token.text) => {
                ExprKind::Variable(token.text, Vec::new())
            }
            Kind::Variable => return Err(self.error(format!("undefined variable {}", quote(&token.text)))),
            Kind::Field => ExprKind::Field(vec![field_name(&token)]),
            Kind::Bool => ExprKind::Bool(token.text == "true"),
            Kind::CharConstant | Kind::Number => match literal::number(&token.text) {
                Some(number) => ExprKind::Number(token.text, number),
                None if token.kind == Kind::CharConstant => {
                    return Err(self.error(format!("malformed character constant: {}", token.text)));
                }
                None => return Err(self.error(format!("illegal number syntax: {}", quote(&token.text)))),
            },
            Kind::LeftParen => ExprKind::Pipe(
                self.nested(|parser| parser.pipeline("parenthesized pipeline", Kind::RightParen))?,
            ),
            Kind::Str | Kind::RawStr => match literal::unquote(&token.text) {
                Some(value) => ExprKind::Str(token.text, value),
                None => return Err(self.error("invalid syntax")),
            },
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(Expr { pos: token.pos, kind }))
    }
}

fn field_name(token: &Token) -> String {
    token.text.strip_prefix('.').unwrap_or(&token.text).to_owned()
}
