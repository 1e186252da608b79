//! The functions that a template may call: those of Go's text/template, and Docker's own (`json`, `split`, `join`,
//! `title`, `lower`, `upper`, `pad`, `truncate`).
//!
//! `and` and `or` are not here: they stop at the first argument that settles them, so evaluation owns them. Go's
//! `html`, `js`, `urlquery` and `call` have no use on a terminal and are not known.

use serde_json::Value;

use super::compare;
use super::printf::{go_type, sprintf};
use super::shape::{Inner, Shape, Val};
use super::value::{display, json, quote};

/// No function makes a longer text (in bytes).
pub(super) const MAX_TEXT: usize = 16 << 20;

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Param {
    Any,
    Text,
    Int,
    /// A list of strings; as Docker's newer versions do, we take any list.
    List,
}

/// A function: its name, what its parameters take, whether the last one repeats, and its body.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) params: &'static [Param],
    pub(super) variadic: bool,
    pub(super) call: for<'a> fn(&[Val<'a>]) -> Result<Val<'a>, String>,
}

use Param::{Any, Int, List, Text};

const FUNCTIONS: [Function; 20] = [
    Function { name: "eq", params: &[Any, Any], variadic: true, call: |a| compare::eq(a).map(Val::owned) },
    Function { name: "ge", params: &[Any, Any], variadic: false, call: |a| compare::ge(a).map(Val::owned) },
    Function { name: "gt", params: &[Any, Any], variadic: false, call: |a| compare::gt(a).map(Val::owned) },
    Function { name: "le", params: &[Any, Any], variadic: false, call: |a| compare::le(a).map(Val::owned) },
    Function { name: "lt", params: &[Any, Any], variadic: false, call: |a| compare::lt(a).map(Val::owned) },
    Function { name: "ne", params: &[Any, Any], variadic: false, call: |a| compare::ne(a).map(Val::owned) },
    Function {
        name: "not",
        params: &[Any],
        variadic: false,
        call: |a| Ok(Val::owned(!a.iter().all(Val::is_true))),
    },
    Function { name: "index", params: &[Any, Any], variadic: true, call: index },
    Function { name: "slice", params: &[Any, Any], variadic: true, call: slice },
    Function { name: "len", params: &[Any], variadic: false, call: len },
    Function { name: "print", params: &[Any], variadic: true, call: |a| text(print(a)) },
    Function { name: "println", params: &[Any], variadic: true, call: |a| text(println(a)) },
    Function { name: "printf", params: &[Text, Any], variadic: true, call: printf },
    Function { name: "json", params: &[Any], variadic: false, call: to_json },
    Function { name: "split", params: &[Text, Text], variadic: false, call: split },
    Function { name: "join", params: &[List, Text], variadic: false, call: join },
    Function { name: "title", params: &[Text], variadic: false, call: |a| text(title(&string(a, 0))) },
    Function { name: "lower", params: &[Text], variadic: false, call: |a| text(string(a, 0).to_lowercase()) },
    Function { name: "upper", params: &[Text], variadic: false, call: |a| text(string(a, 0).to_uppercase()) },
    Function { name: "pad", params: &[Text, Int, Int], variadic: false, call: pad },
];

const TRUNCATE: Function =
    Function { name: "truncate", params: &[Text, Int], variadic: false, call: truncate };

/// The function of that name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().chain([&TRUNCATE]).find(|function| function.name == name)
}

/// Is there such a function, `and` and `or` included?
pub(super) fn exists(name: &str) -> bool {
    matches!(name, "and" | "or") || find(name).is_some()
}

fn text<'a>(text: String) -> Result<Val<'a>, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("the text is longer than {MAX_TEXT} bytes"));
    }
    Ok(Val::owned(text))
}

fn arg<'a, 'v>(args: &'v [Val<'a>], index: usize) -> &'v Val<'a> {
    args.get(index).unwrap_or(const { &Val::MISSING })
}

fn string(args: &[Val<'_>], index: usize) -> String {
    arg(args, index).value().as_str().unwrap_or_default().to_owned()
}

fn integer(args: &[Val<'_>], index: usize) -> i64 {
    arg(args, index).value().as_i64().unwrap_or_default()
}

fn to_json<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let arg = arg(args, 0);
    text(json(arg.value(), arg.inner == Inner::Row).map_err(|error| error.to_string())?)
}

fn print(args: &[Val<'_>]) -> String {
    let mut out = String::new();
    for (index, arg) in args.iter().enumerate() {
        let is_text = |index: usize| args.get(index).is_some_and(|arg| arg.value().is_string());
        if index > 0 && !is_text(index) && !is_text(index - 1) {
            out.push(' ');
        }
        out.push_str(&display(arg.value()));
    }
    out
}

fn println(args: &[Val<'_>]) -> String {
    args.iter().map(|arg| display(arg.value())).collect::<Vec<_>>().join(" ") + "\n"
}

fn printf<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let values: Vec<Value> = args.iter().skip(1).map(|arg| arg.value().clone()).collect();
    text(sprintf(&string(args, 0), &values))
}

fn split<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let (text, separator) = (string(args, 0), string(args, 1));
    let parts: Vec<Value> = match separator.is_empty() {
        true => text.chars().map(|c| Value::String(c.to_string())).collect(),
        false => text.split(&separator).map(Value::from).collect(),
    };
    Ok(Val::of(Value::Array(parts), Inner::Known(Shape::List)))
}

fn join<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let (list, separator) = (arg(args, 0), string(args, 1));
    let items = list.value().as_array().map(Vec::as_slice).unwrap_or_default();
    if items.len().saturating_mul(separator.len()) > MAX_TEXT {
        return Err(format!("the text is longer than {MAX_TEXT} bytes"));
    }
    text(items.iter().map(display).collect::<Vec<_>>().join(&separator))
}

/// A capital for each letter that no letter, digit, underscore or apostrophe precedes.
fn title(text: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        inside = match c.is_ascii() {
            true => c.is_ascii_alphanumeric() || matches!(c, '_' | '\''),
            false => !c.is_whitespace(),
        };
    }
    out
}

fn pad<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let source = string(args, 0);
    if source.is_empty() {
        return Ok(Val::owned(source));
    }
    let spaces = |index| match usize::try_from(integer(args, index)) {
        Ok(count) if count <= MAX_TEXT => Ok(" ".repeat(count)),
        Ok(count) => Err(format!("{count} spaces are too many")),
        Err(_) => Err("strings: negative Repeat count".to_owned()),
    };
    text(format!("{}{source}{}", spaces(1)?, spaces(2)?))
}

fn truncate<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let source = string(args, 0);
    let length = integer(args, 1);
    match usize::try_from(length) {
        Ok(length) => text(source.get(..floor(&source, length)).unwrap_or_default().to_owned()),
        Err(_) => Err(format!("runtime error: slice bounds out of range [:{length}]")),
    }
}

/// The nearest place at or before `at` (bytes) that cuts no character in two. Go would cut it.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn len<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let item = arg(args, 0);
    let length = match item.value() {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        Value::Null if !item.is_nil() => 0,
        Value::Null => return Err("len of nil pointer".to_owned()),
        other => return Err(format!("len of type {}", go_type(other))),
    };
    Ok(Val::owned(length))
}

/// A position in something that is `length` long; `end` allows the place behind its last part.
fn position(index: &Val<'_>, length: usize, end: bool) -> Result<usize, String> {
    let number = match index.value() {
        Value::Number(number) => number.as_i64(),
        Value::Null => return Err("cannot index slice/array with nil".to_owned()),
        _ => None,
    };
    let Some(number) = number else {
        return Err(format!("cannot index slice/array with type {}", go_type(index.value())));
    };
    usize::try_from(number)
        .ok()
        .filter(|at| *at < length || (end && *at == length))
        .ok_or_else(|| format!("index out of range: {number}"))
}

fn index<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let mut item = arg(args, 0).clone();
    if item.is_nil() && item.inner != Inner::Known(Shape::Plain) || item.is_missing() {
        return Err("index of untyped nil".to_owned());
    }
    for key in args.iter().skip(1) {
        item = match item.value() {
            Value::Array(items) => {
                let at = position(key, items.len(), false)?;
                let inner = element(&item);
                item.part(inner, |value| value.get(at)).unwrap_or(Val::MISSING)
            }
            Value::String(text) => {
                let at = position(key, text.len(), false)?;
                Val::owned(text.as_bytes().get(at).copied().unwrap_or_default())
            }
            Value::Object(_) => entry(&item, key)?,
            Value::Null if item.is_list() => return Err(position(key, 0, false).err().unwrap_or_default()),
            Value::Null if item.is_map() => entry(&item, key)?,
            Value::Null => return Err("index of nil pointer".to_owned()),
            other => return Err(format!("can't index item of type {}", go_type(other))),
        };
    }
    Ok(item)
}

/// What the parts of a list or map are.
pub(super) fn element(item: &Val<'_>) -> Inner {
    match item.inner {
        Inner::Known(Shape::List | Shape::Map) => Inner::Struct,
        Inner::Known(Shape::StringMap) => Inner::Known(Shape::Plain),
        Inner::Known(Shape::ListMap) => Inner::Known(Shape::List),
        _ => Inner::Dynamic,
    }
}

fn entry<'a>(map: &Val<'a>, key: &Val<'_>) -> Result<Val<'a>, String> {
    let Value::String(name) = key.value() else {
        return Err(match key.value() {
            Value::Null => "value is nil; should be of type string".to_owned(),
            other => format!("value has type {}; should be string", go_type(other)),
        });
    };
    if map.inner.is_struct() {
        return Err(format!("can't index item of type struct by {}", quote(name)));
    }
    let inner = element(map);
    Ok(map.part(inner, |value| value.get(name)).unwrap_or_else(|| match map.inner {
        Inner::Known(Shape::StringMap) => Val::owned(""),
        Inner::Known(Shape::Map | Shape::ListMap) => Val::of(Value::Null, inner),
        _ => Val::of(Value::Null, Inner::Dynamic),
    }))
}

fn slice<'a>(args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let item = arg(args, 0);
    if item.is_nil() {
        return Err("slice of untyped nil".to_owned());
    }
    let bounds = args.get(1..).unwrap_or_default();
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    let length = match item.value() {
        Value::String(_) if bounds.len() == 3 => return Err("cannot 3-index slice a string".to_owned()),
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        Value::Null if item.is_list() => 0,
        other => return Err(format!("can't slice item of type {}", go_type(other))),
    };
    let mut places = [0, length, length];
    for (place, bound) in places.iter_mut().zip(bounds) {
        *place = position(bound, length, true)?;
    }
    let [from, to, capacity] = places;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    if to > capacity {
        return Err(format!("invalid slice index: {to} > {capacity}"));
    }
    match item.value() {
        Value::String(source) => {
            text(source.get(floor(source, from)..floor(source, to)).unwrap_or_default().to_owned())
        }
        Value::Array(items) => Ok(Val::of(
            Value::Array(items.get(from..to).unwrap_or_default().to_vec()),
            Inner::Known(Shape::List),
        )),
        _ => Ok(item.clone()),
    }
}
