//! Cuts a template into tokens.
//!
//! Text outside of `{{ }}` is one token; inside, the tokens are those of Go's text/template
//! (<https://pkg.go.dev/text/template>, "Actions"), spaces included, because `$x .Y` and `$x.Y` differ.
//! A mistake becomes a last token of kind [`Kind::Error`] rather than an early return: the parser may find an
//! earlier mistake first, and the earlier one is the one to report.
//!
//! Positions are byte offsets into the source, which is how Go counts the columns in its messages.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text outside of actions, trimmed if a neighbour says so.
    Text,
    /// `{{`, with its trim marker.
    Left,
    /// `}}`, with its trim marker.
    Right,
    /// A run of spaces inside an action.
    Space,
    /// `.Name`
    Field,
    /// `$` or `$name`
    Variable,
    /// A word that names a function.
    Identifier,
    /// `.` alone.
    Dot,
    /// `if`, `range`, `end`, ...
    Keyword,
    /// `true` or `false`
    Bool,
    /// `nil`
    Nil,
    /// A number, not yet checked.
    Number,
    /// `'x'`
    CharConstant,
    /// `"..."` with its quotes.
    Str,
    /// A raw string, with its back quotes.
    RawStr,
    /// `|`
    Pipe,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// Any other printable character, such as a comma.
    Char,
    /// The end of the template.
    Eof,
    /// A mistake; the token's text is the message.
    Error,
}

/// One token: its kind, its text, where it starts (bytes) and on which line (from 1).
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) pos: usize,
    pub(super) line: usize,
}

const KEYWORDS: [&str; 10] =
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/// Cuts `source` into tokens; the last one is always `Eof` or `Error`.
pub(super) fn lex(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { source, pos: 0, tokens: Vec::new(), counted: 0, line: 1, parens: 0 };
    if let Err((pos, message)) = lexer.run() {
        lexer.push_owned(Kind::Error, pos, message);
    }
    lexer.tokens
}

type Step = Result<(), (usize, String)>;

struct Lexer<'s> {
    source: &'s str,
    pos: usize,
    tokens: Vec<Token>,
    /// Up to where the lines have been counted, and the line there.
    counted: usize,
    line: usize,
    parens: usize,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.pos..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&keep) {
            self.bump();
        }
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.bump();
        }
        found
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let text = self.source.get(start..self.pos).unwrap_or_default().to_owned();
        self.push_owned(kind, start, text);
    }

    fn push_owned(&mut self, kind: Kind, pos: usize, text: String) {
        let newlines = |s: &str| s.bytes().filter(|b| *b == b'\n').count();
        self.line += newlines(self.source.get(self.counted..pos).unwrap_or_default());
        self.counted = self.counted.max(pos);
        self.tokens.push(Token { kind, text, pos, line: self.line });
    }

    fn run(&mut self) -> Step {
        let mut trim = false;
        loop {
            let start = self.pos;
            let rest = self.rest();
            let length = rest.find("{{").unwrap_or(rest.len());
            let (text, after) = rest.split_at(length);
            let after = after.strip_prefix("{{");
            let trim_before = after.is_some_and(starts_trim);
            let skipped = if trim { text.len() - text.trim_start_matches(is_space).len() } else { 0 };
            let mut shown = text.get(skipped..).unwrap_or_default();
            if trim_before {
                shown = shown.trim_end_matches(is_space);
            }
            if !shown.is_empty() {
                self.push_owned(Kind::Text, start + skipped, shown.to_owned());
            }
            self.pos = start + length;
            let Some(after) = after else {
                self.push(Kind::Eof, self.pos);
                return Ok(());
            };
            let left = self.pos;
            self.pos += if trim_before { 4 } else { 2 };
            let inner = if trim_before { after.get(2..).unwrap_or_default() } else { after };
            trim = if inner.starts_with("/*") {
                self.comment()?
            } else {
                self.push(Kind::Left, left);
                self.parens = 0;
                self.action()?
            };
        }
    }

    /// Skips a comment, which must fill its action. Says whether it trims what follows.
    fn comment(&mut self) -> Result<bool, (usize, String)> {
        let start = self.pos;
        let rest = self.rest();
        let Some(end) = rest.find("*/") else { return Err((start, "unclosed comment".to_owned())) };
        self.pos += end + 2;
        match self.right_delimiter() {
            Some((length, trim)) => {
                self.pos += length;
                Ok(trim)
            }
            None => Err((start, "comment ends before closing delimiter".to_owned())),
        }
    }

    /// The length of a closing delimiter here, and whether it trims what follows.
    fn right_delimiter(&self) -> Option<(usize, bool)> {
        let rest = self.rest();
        let mut chars = rest.chars();
        if chars.next().is_some_and(is_space) && chars.as_str().starts_with("-}}") {
            return Some((4, true));
        }
        rest.starts_with("}}").then_some((2, false))
    }

    /// The tokens of one action, closing delimiter included. Says whether it trims what follows.
    fn action(&mut self) -> Result<bool, (usize, String)> {
        loop {
            let start = self.pos;
            if let Some((length, trim)) = self.right_delimiter() {
                if self.parens > 0 {
                    return Err((start, "unclosed left paren".to_owned()));
                }
                self.pos += length;
                self.push(Kind::Right, start);
                return Ok(trim);
            }
            self.token(start)?;
        }
    }

    fn token(&mut self, start: usize) -> Step {
        let Some(c) = self.bump() else { return Err((start, "unclosed action".to_owned())) };
        match c {
            _ if is_space(c) => {
                while self.peek().is_some_and(is_space) && self.right_delimiter().is_none() {
                    self.bump();
                }
                self.push(Kind::Space, start);
            }
            '=' => self.push(Kind::Assign, start),
            ':' if self.accept("=") => self.push(Kind::Declare, start),
            ':' => return Err((start, "expected :=".to_owned())),
            '|' => self.push(Kind::Pipe, start),
            '"' => self.quoted(start, '"', Kind::Str, "unterminated quoted string")?,
            '\'' => self.quoted(start, '\'', Kind::CharConstant, "unterminated character constant")?,
            '`' => {
                let Some(end) = self.rest().find('`') else {
                    return Err((start, "unterminated raw quoted string".to_owned()));
                };
                self.pos += end + 1;
                self.push(Kind::RawStr, start);
            }
            '$' => self.name(start, Kind::Variable, Kind::Variable)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.name(start, Kind::Dot, Kind::Field)?;
            }
            '+' | '-' | '.' | '0'..='9' => self.number(start)?,
            '(' => {
                self.parens += 1;
                self.push(Kind::LeftParen, start);
            }
            ')' if self.parens == 0 => return Err((start, "unexpected right paren".to_owned())),
            ')' => {
                self.parens -= 1;
                self.push(Kind::RightParen, start);
            }
            _ if is_alphanumeric(c) => self.word(start)?,
            ' '..='~' => self.push(Kind::Char, start),
            _ => return Err((start, format!("unrecognized character in action: {}", describe(c)))),
        }
        Ok(())
    }

    fn quoted(&mut self, start: usize, quote: char, kind: Kind, unterminated: &str) -> Step {
        loop {
            match self.bump() {
                Some('\\') if self.peek().is_some_and(|c| c != '\n') => {
                    self.bump();
                }
                Some(c) if c == quote => break,
                Some(c) if c != '\n' && c != '\\' => {}
                _ => return Err((start, unterminated.to_owned())),
            }
        }
        self.push(kind, start);
        Ok(())
    }

    /// `.Name` or `$name`, or the sign alone.
    fn name(&mut self, start: usize, alone: Kind, named: Kind) -> Step {
        let kind = if self.at_terminator() { alone } else { named };
        self.take_while(is_alphanumeric);
        self.terminated(start)?;
        self.push(kind, start);
        Ok(())
    }

    fn word(&mut self, start: usize) -> Step {
        self.take_while(is_alphanumeric);
        self.terminated(start)?;
        let kind = match self.source.get(start..self.pos).unwrap_or_default() {
            "true" | "false" => Kind::Bool,
            "nil" => Kind::Nil,
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            _ => Kind::Identifier,
        };
        self.push(kind, start);
        Ok(())
    }

    /// A number by its outline; the parser checks whether it is one.
    fn number(&mut self, start: usize) -> Step {
        self.pos = start;
        self.scan_number();
        // `1+2i` is a number to Go; nothing in a container is complex, so to us a second sign is a slip.
        let slip = if self.accept("+-") {
            self.scan_number();
            true
        } else {
            self.peek().is_some_and(is_alphanumeric) && self.bump().is_some()
        };
        if slip {
            let text = self.source.get(start..self.pos).unwrap_or_default();
            return Err((start, format!("bad number syntax: {}", super::value::quote(text))));
        }
        self.push(Kind::Number, start);
        Ok(())
    }

    fn scan_number(&mut self) {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.take_while(|c| digits.contains(c));
        if self.accept(".") {
            self.take_while(|c| digits.contains(c));
        }
        let exponent = if digits.len() == 11 { "eE" } else { "pP" };
        if self.accept(exponent) {
            self.accept("+-");
            self.take_while(|c| c.is_ascii_digit() || c == '_');
        }
        self.accept("i");
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None => true,
            Some(c) if is_space(c) || ".,|:)(".contains(c) => true,
            Some(_) => self.rest().starts_with("}}"),
        }
    }

    fn terminated(&self, start: usize) -> Step {
        match self.peek() {
            Some(c) if !self.at_terminator() => Err((start, format!("bad character {}", describe(c)))),
            _ => Ok(()),
        }
    }
}

/// `-` and a space after `{{`.
fn starts_trim(after: &str) -> bool {
    let mut chars = after.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// A character as Go's `%#U` shows it.
fn describe(c: char) -> String {
    if c.is_control() { format!("U+{:04X}", u32::from(c)) } else { format!("U+{:04X} '{c}'", u32::from(c)) }
}
