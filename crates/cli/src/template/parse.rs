//! Makes a tree of a template's tokens: statements here, what stands inside of an action in [`super::pipeline`].
//!
//! It follows Go's text/template in what it takes, in the order in which it finds mistakes, and in the words of
//! its messages, so that a `--format` that Docker refuses is refused here, and for the same reason.

use std::collections::BTreeMap;

use super::Error;
use super::lexer::{Kind, Token, lex};
use super::literal;
use super::node::{Branch, List, Node, Pipe};
use super::value;

/// How deeply parentheses and statements may nest. Go has a limit too; ours is low enough for a thread's stack.
pub(super) const MAX_DEPTH: usize = 100;

/// A parsed template: its body, and the bodies that `define` and `block` gave names to.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) body: List,
    pub(super) named: BTreeMap<String, List>,
}

/// Parses `source`.
pub(super) fn parse(source: &str) -> Result<Tree, Error> {
    let mut parser = Parser {
        tokens: lex(source),
        next: 0,
        furthest: 0,
        variables: vec!["$".to_owned()],
        ranges: 0,
        depth: 0,
        action_line: None,
        named: BTreeMap::new(),
    };
    let body = parser.body()?;
    Ok(Tree { body, named: parser.named })
}

/// What ended a list of statements.
enum End {
    End,
    /// `{{else}}`, or `{{else` with a keyword still to come.
    Else,
}

enum Item {
    Node(Node),
    End(End),
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    /// The index of the next token.
    next: usize,
    /// The index of the last token looked at: its line is the one that messages name.
    furthest: usize,
    /// The variables in scope, with their `$`.
    pub(super) variables: Vec<String>,
    ranges: usize,
    depth: usize,
    action_line: Option<usize>,
    named: BTreeMap<String, List>,
}

impl Parser {
    pub(super) fn next(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    pub(super) fn peek(&mut self) -> Token {
        self.furthest = self.furthest.max(self.next);
        let last = Token { kind: Kind::Eof, text: String::new(), pos: 0, line: 1 };
        self.tokens.get(self.next).or(self.tokens.last()).cloned().unwrap_or(last)
    }

    pub(super) fn backup(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    pub(super) fn next_non_space(&mut self) -> Token {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
        self.next()
    }

    pub(super) fn peek_non_space(&mut self) -> Token {
        let token = self.next_non_space();
        self.backup();
        token
    }

    /// An error at the place that was looked at last.
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        let line = self.tokens.get(self.furthest).or(self.tokens.last()).map_or(1, |token| token.line);
        Error::Parse { line, message: message.into() }
    }

    pub(super) fn unexpected(&self, token: &Token, context: &str) -> Error {
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {} in {context}", spell(token)));
        }
        let started = match self.action_line {
            Some(line) if line != token.line && token.text.ends_with(" action") => {
                format!(" started at :{line}")
            }
            Some(line) if line != token.line => format!(" in action started at :{line}"),
            _ => String::new(),
        };
        self.error(format!("{}{started}", token.text))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token, Error> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(&token, context)) }
    }

    /// Runs `parse` one level deeper.
    pub(super) fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error("max expression depth exceeded"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// The whole template, up to its end.
    fn body(&mut self) -> Result<List, Error> {
        let mut body = List::new();
        loop {
            let first = self.peek();
            if first.kind == Kind::Eof {
                return Ok(body);
            }
            if first.kind == Kind::Left {
                let before = self.next;
                self.next += 1;
                let token = self.next_non_space();
                if token.kind == Kind::Keyword && token.text == "define" {
                    self.define()?;
                    continue;
                }
                self.next = before;
            }
            match self.item()? {
                Item::Node(node) => body.push(node),
                Item::End(End::End) => return Err(self.error("unexpected {{end}}")),
                Item::End(End::Else) => return Err(self.error("unexpected {{else}}")),
            }
        }
    }

    /// Statements up to an `end` or `else`.
    fn list(&mut self) -> Result<(List, End), Error> {
        let mut list = List::new();
        while self.peek_non_space().kind != Kind::Eof {
            match self.item()? {
                Item::Node(node) => list.push(node),
                Item::End(end) => return Ok((list, end)),
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn item(&mut self) -> Result<Item, Error> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text))),
            Kind::Left => {
                self.action_line = Some(token.line);
                let item = self.action()?;
                self.action_line = None;
                Ok(item)
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Result<Item, Error> {
        let token = self.next_non_space();
        let keyword = if token.kind == Kind::Keyword { token.text.as_str() } else { "" };
        let node = match keyword {
            "" => {
                self.backup();
                Node::Action(self.pipeline("command", Kind::Right)?)
            }
            "if" => self.branch(Branch::If)?,
            "with" => self.branch(Branch::With)?,
            "range" => self.branch(Branch::Range)?,
            "break" => self.jump("{{break}}", Node::Break)?,
            "continue" => self.jump("{{continue}}", Node::Continue)?,
            "template" => self.template()?,
            "block" => self.block()?,
            "end" => {
                self.expect(Kind::Right, "end")?;
                return Ok(Item::End(End::End));
            }
            "else" => {
                let peek = self.peek_non_space();
                if !is_chained(&peek) {
                    self.expect(Kind::Right, "else")?;
                }
                return Ok(Item::End(End::Else));
            }
            _ => return Err(self.unexpected(&token, "command")),
        };
        Ok(Item::Node(node))
    }

    /// The rest of an `if`, `with` or `range`, its `end` included.
    fn branch(&mut self, kind: Branch) -> Result<Node, Error> {
        self.nested(|parser| {
            let scope = parser.variables.len();
            let node = parser.branch_in_scope(kind)?;
            parser.variables.truncate(scope);
            Ok(node)
        })
    }

    fn branch_in_scope(&mut self, kind: Branch) -> Result<Node, Error> {
        let pipe = self.pipeline(&kind.to_string(), Kind::Right)?;
        self.ranges += usize::from(kind == Branch::Range);
        let (body, end) = self.list()?;
        self.ranges -= usize::from(kind == Branch::Range);
        let otherwise = match end {
            End::End => None,
            End::Else => {
                let peek = self.peek();
                // `{{else if}}` is `{{else}}{{if}}` with one `{{end}}` for both.
                let chained = is_chained(&peek) && peek.text == kind.to_string();
                if chained {
                    self.next += 1;
                    Some(vec![self.branch(kind)?])
                } else {
                    let (list, end) = self.list()?;
                    if matches!(end, End::Else) {
                        return Err(self.error("expected end; found {{else}}"));
                    }
                    Some(list)
                }
            }
        };
        Ok(Node::Branch { kind, pipe, body, otherwise })
    }

    fn jump(&mut self, spelling: &str, node: Node) -> Result<Node, Error> {
        let token = self.next_non_space();
        if token.kind != Kind::Right {
            return Err(self.unexpected(&token, spelling));
        }
        if self.ranges == 0 {
            return Err(self.error(format!("{spelling} outside {{{{range}}}}")));
        }
        Ok(node)
    }

    fn template_name(&mut self, context: &str) -> Result<(String, usize), Error> {
        let token = self.next_non_space();
        if !matches!(token.kind, Kind::Str | Kind::RawStr) {
            return Err(self.unexpected(&token, context));
        }
        match literal::unquote(&token.text) {
            Some(name) => Ok((name, token.pos)),
            None => Err(self.error("invalid syntax")),
        }
    }

    fn template(&mut self) -> Result<Node, Error> {
        let (name, pos) = self.template_name("template clause")?;
        let pipe = self.template_argument("template clause")?;
        Ok(Node::Template { name, pos, pipe })
    }

    fn template_argument(&mut self, context: &str) -> Result<Option<Pipe>, Error> {
        if self.next_non_space().kind == Kind::Right {
            return Ok(None);
        }
        self.backup();
        self.pipeline(context, Kind::Right).map(Some)
    }

    fn block(&mut self) -> Result<Node, Error> {
        let (name, pos) = self.template_name("block clause")?;
        let pipe = self.pipeline("block clause", Kind::Right)?;
        self.named_body(name.clone(), "block clause")?;
        Ok(Node::Template { name, pos, pipe: Some(pipe) })
    }

    fn define(&mut self) -> Result<(), Error> {
        let (name, _) = self.template_name("define clause")?;
        self.expect(Kind::Right, "define clause")?;
        self.named_body(name, "define clause")
    }

    /// A body that sees no variable of what stands around it.
    fn named_body(&mut self, name: String, context: &str) -> Result<(), Error> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (body, end) = self.nested(Self::list)?;
        if matches!(end, End::Else) {
            return Err(self.error(format!("unexpected {{{{else}}}} in {context}")));
        }
        self.variables = variables;
        self.ranges = ranges;
        let blank =
            |list: &List| list.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()));
        // A definition may stand in for an empty one, and an empty one changes nothing.
        if self.named.get(&name).is_none_or(blank) {
            self.named.insert(name, body);
        } else if !blank(&body) {
            return Err(
                self.error(format!("template: multiple definition of template {}", value::quote(&name)))
            );
        }
        Ok(())
    }
}

fn is_chained(token: &Token) -> bool {
    token.kind == Kind::Keyword && matches!(token.text.as_str(), "if" | "with")
}

/// A token as messages spell it.
pub(super) fn spell(token: &Token) -> String {
    match token.kind {
        Kind::Eof => "EOF".to_owned(),
        Kind::Error => token.text.clone(),
        Kind::Keyword | Kind::Dot | Kind::Nil => format!("<{}>", token.text),
        _ => match token.text.char_indices().nth(10) {
            Some((end, _)) if token.text.len() > 10 => {
                format!("{}...", value::quote(token.text.get(..end).unwrap_or_default()))
            }
            _ => value::quote(&token.text),
        },
    }
}
