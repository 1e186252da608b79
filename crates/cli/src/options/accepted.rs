//! Flags of Docker's that ask for what is so already, and have no other meaning here: each is taken where it says just
//! that, and refused by name where it says something else.

use super::CreateFlags;
use super::lists::ram;
use crate::failure::Failure;

impl CreateFlags {
    /// Looks at them. Gives what the user should know, a sentence each.
    pub(crate) fn check(&self) -> Result<Vec<String>, Failure> {
        let refuse = |message: String| Err(Failure::new(message).code(125));
        match self.pull.as_str() {
            "missing" | "never" | "always" => {}
            other => {
                return refuse(format!(
                    "invalid pull option: '{other}': must be one of \"always\", \"missing\" or \"never\""
                ));
            }
        }
        if let Some(platform) = self.platform.as_deref().filter(|platform| !is_ours(platform)) {
            return refuse(format!(
                "--platform={platform}: this machine runs linux/{} alone, and bulkhead emulates no other",
                architecture()
            ));
        }
        if let Some(other) = self.isolation.as_deref().filter(|word| !matches!(*word, "" | "default")) {
            return refuse(format!("invalid isolation {other:?}: on Linux there is \"default\" alone"));
        }
        if !self.disable_content_trust {
            return refuse(
                "--disable-content-trust=false: this version of bulkhead does not verify signatures of images".into(),
            );
        }
        let mut warnings = Vec::new();
        if let Some(text) = &self.kernel_memory {
            ram("kernel-memory", text)?;
            warnings.push("Specifying a kernel memory limit is deprecated: it has no effect.".into());
        }
        Ok(warnings)
    }
}

/// This machine's architecture, in Docker's word.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Whether `[linux/]ARCHITECTURE[/VARIANT]`, or `linux`, means this machine.
fn is_ours(platform: &str) -> bool {
    let lower = platform.to_ascii_lowercase();
    let words: Vec<&str> = lower.split('/').collect();
    let ours = |word: &str| {
        let same = match word {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        same == architecture()
    };
    match words[..] {
        ["linux"] => true,
        [arch] | ["linux", arch] => ours(arch),
        // The variant that all machines of the architecture have.
        ["linux", arch, variant] => {
            ours(arch) && matches!((architecture(), variant), ("arm64", "v8") | ("amd64", "v1"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{architecture, is_ours};

    #[test]
    fn this_machine_s_platform_is_known_by_all_its_names() {
        for ours in ["linux".to_owned(), architecture().to_owned(), format!("Linux/{}", architecture())] {
            assert!(is_ours(&ours), "{ours}");
        }
        for other in ["", "windows", "windows/amd64", "linux/riscv64", "linux/amd64/v4/x", "/"] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
