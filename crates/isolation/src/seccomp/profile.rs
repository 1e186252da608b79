//! A filter in the form of the OCI runtime specification: the `linux.seccomp` object of a config.json.
//!
//! Everything is here as it was written; [`compile`](super::compile) checks it.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

use super::words::{Action, Architecture, Flag, Operator};

/// What every system call leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seccomp {
    /// For calls that no rule is about.
    pub default_action: Action,
    /// The error number of `default_action`, if that is ERRNO or TRACE. EPERM if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// The tables whose calls may be made at all, beside the machine's own.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<Architecture>,
    /// How it is installed. Not given is not the same as none: then it is SPEC_ALLOW.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<Flag>>,
    /// The socket to send the notification descriptor to, if an action is NOTIFY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<String>,
    /// What is sent along with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// The rules.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<Rule>,
}

/// What some calls lead to, if their arguments are like this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The calls. Names that no table has are passed over: profiles are written for many kernels.
    #[serde(default, deserialize_with = "nullable")]
    pub names: Vec<Cow<'static, str>>,
    /// What happens.
    pub action: Action,
    /// The error number of ERRNO (EPERM if not given), or TRACE's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions. All must hold, unless two are about the same argument: then one is enough, as it has
    /// always been with runc.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
}

/// A condition on one argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arg {
    /// Which argument: 0 to 5.
    pub index: i64,
    /// What it is compared with; the mask, for MASKED_EQ.
    pub value: u64,
    /// For MASKED_EQ, what is compared with the masked argument.
    #[serde(default)]
    pub value_two: u64,
    /// How.
    pub op: Operator,
}

/// Reads `null` as nothing: Go's encoder writes an empty list like that.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    source: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(source)?.unwrap_or_default())
}
