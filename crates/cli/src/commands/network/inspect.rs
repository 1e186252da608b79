//! `bulkhead network inspect`.

use std::io::Write;

use super::super::{Done, shown};
use crate::Context;
use crate::failure::complain;
use crate::output::inspect::print_inspect;
use crate::template::{Shape, Type};

pub(super) fn inspect(context: &Context, format: Option<&str>, names: &[String]) -> Done {
    let mut engine = context.engine()?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        match engine.inspect_network(name) {
            Ok(network) => found.push(network),
            Err(error) => missing.push(error.to_string()),
        }
    }
    let mut out = std::io::stdout().lock();
    let shapes = &[("Labels", Shape::StringMap), ("Options", Shape::StringMap), ("Containers", Shape::Map)];
    let kind = Type { name: "network.Inspect", shapes };
    if !found.is_empty() {
        shown(print_inspect(&mut out, format, &found, kind))?;
    } else if format.is_none() {
        out.write_all(b"[]\n")?;
    }
    for message in &missing {
        complain(message);
    }
    Ok(u8::from(!missing.is_empty()))
}
