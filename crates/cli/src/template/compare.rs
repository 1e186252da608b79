//! `eq`, `ne`, `lt`, `le`, `gt`, `ge` as Go's text/template has them: values of one basic kind compare, and
//! everything else is a mistake that is named rather than a silent `false`.

use std::cmp::Ordering;

use serde_json::Value;

use super::printf::go_type;
use super::shape::Val;
use super::value::display;

const INCOMPATIBLE: &str = "incompatible types for comparison";
const INVALID: &str = "invalid type for comparison";

/// Is the first equal to any of the others?
pub(super) fn eq(args: &[Val<'_>]) -> Result<bool, String> {
    let Some((first, others)) = args.split_first() else {
        return Err("missing argument for comparison".to_owned());
    };
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal(first.value(), other.value())? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn ne(args: &[Val<'_>]) -> Result<bool, String> {
    eq(args).map(|equal| !equal)
}

pub(super) fn lt(args: &[Val<'_>]) -> Result<bool, String> {
    order(args).map(|order| order == Some(Ordering::Less))
}

pub(super) fn le(args: &[Val<'_>]) -> Result<bool, String> {
    order(args).map(|order| matches!(order, Some(Ordering::Less | Ordering::Equal)))
}

pub(super) fn gt(args: &[Val<'_>]) -> Result<bool, String> {
    order(args).map(|order| order == Some(Ordering::Greater))
}

pub(super) fn ge(args: &[Val<'_>]) -> Result<bool, String> {
    order(args).map(|order| matches!(order, Some(Ordering::Greater | Ordering::Equal)))
}

fn equal(first: &Value, second: &Value) -> Result<bool, String> {
    match (first, second) {
        (Value::Null, other) | (other, Value::Null) => Ok(other.is_null()),
        (Value::Array(_) | Value::Object(_), Value::Array(_) | Value::Object(_)) => {
            // The order of value and type is Go's.
            let (first, first_type) = (display(first), go_type(first));
            let (second, second_type) = (display(second), go_type(second));
            if first_type == second_type {
                return Err(format!("non-comparable type {first}: {first_type}"));
            }
            Err(format!("non-comparable types {first}: {first_type}, {second_type}: {second}"))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() == b.is_f64() => {
            Ok(if a.is_f64() { a.as_f64() == b.as_f64() } else { a == b })
        }
        _ if go_type(first) != go_type(second) => Err(INCOMPATIBLE.to_owned()),
        _ => Ok(first == second),
    }
}

fn order(args: &[Val<'_>]) -> Result<Option<Ordering>, String> {
    let [first, second] = args else { return Err("missing argument for comparison".to_owned()) };
    match (first.value(), second.value()) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() == b.is_f64() => {
            if a.is_f64() {
                return Ok(a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)));
            }
            Ok(a.as_i128().zip(b.as_i128()).map(|(a, b)| a.cmp(&b)))
        }
        (Value::String(a), Value::String(b)) => Ok(Some(a.cmp(b))),
        (
            Value::Number(_) | Value::String(_) | Value::Bool(_),
            Value::Number(_) | Value::String(_) | Value::Bool(_),
        ) if go_type(first.value()) != go_type(second.value()) => Err(INCOMPATIBLE.to_owned()),
        _ => Err(INVALID.to_owned()),
    }
}
