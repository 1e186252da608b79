//! Values under evaluation: JSON, with what Go would know of their type.
//!
//! Docker hands its templates Go structs, and Go tells a struct from a map, and a nil list from a nil pointer: the
//! first decides whether an unknown name is a mistake (`can't evaluate field Foo`) or an absence (`<no value>`), the
//! second whether `null` shows as `[]`, `map[]` or `<nil>`. JSON has lost that, so a [`Shape`] rides along.

use std::borrow::Cow;

use serde_json::Value;

use super::{printf, value};

/// What Go would know of a value's type beyond what JSON shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A struct's field, a pointer, or a plain value of the type that JSON shows. `null` is a nil pointer.
    Plain,
    /// A map from strings to strings, such as labels: a missing key has the value `""` for `index`.
    StringMap,
    /// A map from strings to structs, such as networks by name.
    Map,
    /// A map from strings to lists, such as ports: a missing key has the empty list for `index`.
    ListMap,
    /// A list. `null` is the empty one.
    List,
}

/// The inner shapes: a [`Shape`], and what only evaluation makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    /// Declared, or plain.
    Known(Shape),
    /// The row that the template runs on: a struct with methods.
    Row,
    /// The struct that the template runs on.
    Root,
    /// A struct further down.
    Struct,
    /// Held by a Go interface, as everything in decoded JSON is, until a pipeline unwraps it.
    Dynamic,
}

impl Inner {
    /// Where a struct is expected there may be anything else; then it has the shape that it shows.
    fn settled(self, value: &Value) -> Self {
        match (self, value) {
            (Self::Struct | Self::Root | Self::Row, Value::Object(_)) => self,
            (Self::Struct | Self::Root | Self::Row, Value::Array(_)) => Self::Known(Shape::List),
            (Self::Struct | Self::Root | Self::Row, _) => Self::Known(Shape::Plain),
            _ => self,
        }
    }

    pub(super) fn is_struct(self) -> bool {
        matches!(self, Self::Row | Self::Root | Self::Struct)
    }
}

/// A value: JSON of some shape, or no value at all.
#[derive(Clone, Debug)]
pub(super) struct Val<'a> {
    data: Option<Cow<'a, Value>>,
    pub(super) inner: Inner,
}

impl<'a> Val<'a> {
    pub(super) const MISSING: Self = Self { data: None, inner: Inner::Known(Shape::Plain) };

    pub(super) fn borrowed(value: &'a Value, inner: Inner) -> Self {
        Self { data: Some(Cow::Borrowed(value)), inner: inner.settled(value) }
    }

    pub(super) fn owned(value: impl Into<Value>) -> Self {
        Self::of(value.into(), Inner::Known(Shape::Plain))
    }

    pub(super) fn of(value: Value, inner: Inner) -> Self {
        let inner = inner.settled(&value);
        Self { data: Some(Cow::Owned(value)), inner }
    }

    /// The JSON; a missing value is `null`, as it is to Go's functions.
    pub(super) fn value(&self) -> &Value {
        self.data.as_deref().unwrap_or(&Value::Null)
    }

    pub(super) fn is_missing(&self) -> bool {
        self.data.is_none()
    }

    /// Is it neither a value nor a list or map that merely is empty?
    pub(super) fn is_nil(&self) -> bool {
        self.value().is_null() && !self.is_list() && !self.is_map()
    }

    pub(super) fn is_list(&self) -> bool {
        self.inner == Inner::Known(Shape::List)
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.inner, Inner::Known(Shape::Map | Shape::ListMap | Shape::StringMap))
    }

    /// The name of its type in Go.
    pub(super) fn go_type(&self) -> &'static str {
        match self.value() {
            Value::Array(items) if self.is_list() && items.iter().all(Value::is_string) => "[]string",
            value => printf::go_type(value),
        }
    }

    /// The value at the end of a pipeline, out of its interface; a nil interface leaves nothing.
    pub(super) fn unwrapped(self) -> Self {
        match self.inner {
            Inner::Dynamic if self.value().is_null() => Self::MISSING,
            Inner::Dynamic => Self { inner: Inner::Known(Shape::Plain), ..self },
            _ => self,
        }
    }

    /// Go's idea of truth: not false, zero, empty or nil.
    pub(super) fn is_true(&self) -> bool {
        match self.value() {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(map) => !map.is_empty() || self.inner.is_struct(),
        }
    }

    /// The value as an action shows it.
    pub(super) fn display(&self) -> String {
        match &self.data {
            None => "<no value>".to_owned(),
            Some(value) if value.is_null() && self.is_list() => "[]".to_owned(),
            Some(value) if value.is_null() && self.is_map() => "map[]".to_owned(),
            Some(value) => value::display(value),
        }
    }

    /// A part of the value, borrowed if the value is.
    pub(super) fn part(
        &self,
        inner: Inner,
        get: impl for<'v> FnOnce(&'v Value) -> Option<&'v Value>,
    ) -> Option<Self> {
        match &self.data {
            Some(Cow::Borrowed(value)) => get(value).map(|part| Self::borrowed(part, inner)),
            Some(Cow::Owned(value)) => get(value).map(|part| Self::of(part.clone(), inner)),
            None => None,
        }
    }
}
