//! Names for containers that were given none: an adjective and somebody who made computing or the sciences
//! what they are, in Docker's manner.

use crate::id;

const ADJECTIVES: &[&str] = &[
    "able", "agile", "amber", "bold", "brave", "bright", "brisk", "calm", "candid", "clever", "cosmic",
    "crisp", "curious", "daring", "deft", "eager", "earnest", "fair", "fearless", "frank", "gentle", "glad",
    "golden", "grand", "happy", "hardy", "honest", "humble", "jolly", "keen", "kind", "lively", "loyal",
    "lucid", "merry", "mighty", "modest", "neat", "nimble", "noble", "patient", "placid", "polite", "proud",
    "quick", "quiet", "rapid", "ready", "sage", "serene", "sharp", "silent", "silver", "sincere", "smooth",
    "snug", "solid", "spry", "steady", "stoic", "sturdy", "sunny", "swift", "tidy", "tranquil", "trusty",
    "upbeat", "vivid", "warm", "watchful", "wise", "witty", "zealous",
];

const PEOPLE: &[&str] = &[
    "agnesi",
    "allen",
    "archimedes",
    "babbage",
    "bardeen",
    "bartik",
    "bell",
    "bohr",
    "boole",
    "bose",
    "brahmagupta",
    "carson",
    "cerf",
    "chandrasekhar",
    "church",
    "clarke",
    "cori",
    "cray",
    "curie",
    "curry",
    "darwin",
    "diffie",
    "dijkstra",
    "einstein",
    "elion",
    "engelbart",
    "euclid",
    "euler",
    "faraday",
    "fermat",
    "fermi",
    "feynman",
    "floyd",
    "franklin",
    "galileo",
    "gauss",
    "germain",
    "goedel",
    "goodall",
    "hamilton",
    "hawking",
    "heisenberg",
    "hellman",
    "hertz",
    "hoare",
    "hodgkin",
    "hopper",
    "hypatia",
    "jackson",
    "jennings",
    "johnson",
    "kalam",
    "kepler",
    "khorana",
    "knuth",
    "kowalevski",
    "lamarr",
    "lamport",
    "leavitt",
    "leibniz",
    "liskov",
    "lovelace",
    "maxwell",
    "mccarthy",
    "mcclintock",
    "meitner",
    "mendeleev",
    "mirzakhani",
    "moore",
    "naur",
    "newton",
    "nightingale",
    "nobel",
    "noether",
    "noyce",
    "pascal",
    "pasteur",
    "perlman",
    "pike",
    "planck",
    "poincare",
    "ramanujan",
    "raman",
    "ride",
    "ritchie",
    "rubin",
    "sammet",
    "shannon",
    "sutherland",
    "swartz",
    "thompson",
    "torvalds",
    "turing",
    "villani",
    "volta",
    "wescoff",
    "wilson",
    "wozniak",
    "yalow",
];

/// A name that may be taken: `attempt` counts how often the last one was.
pub fn propose(attempt: u32) -> String {
    let random = id::random();
    let number =
        |from: usize| random.get(from..from + 8).and_then(|digits| usize::from_str_radix(digits, 16).ok());
    let word = |list: &[&'static str], number: Option<usize>| {
        list.get(number.unwrap_or(0) % list.len()).copied().unwrap_or("quiet")
    };
    let name = format!("{}_{}", word(ADJECTIVES, number(0)), word(PEOPLE, number(8)));
    if attempt < 4 { name } else { format!("{name}_{}", random.get(16..24).unwrap_or("")) }
}

/// Docker's rule for names that people give.
pub fn is_valid(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.len() >= 2
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::{is_valid, propose};

    #[test]
    fn proposals_are_valid_names() {
        for attempt in 0..50 {
            assert!(is_valid(&propose(attempt)));
        }
        for bad in ["", "a", "-a", "_ab", "a b", "a/b", "ä1"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
