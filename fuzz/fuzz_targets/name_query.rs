//! What a container's programs send to their name service, and what resolvers answer: nothing ends the supervisor, and no
//! answer is longer than its asker takes.
#![no_main]

use std::io;
use std::net::IpAddr;

use bulkhead_supervisor::names::answer::{LONGEST, Names, Question, Transport};
use libfuzzer_sys::fuzz_target;

/// Everybody is called as they are asked for, and has many addresses.
struct All;

impl Names for All {
    fn addresses(&self, name: &str) -> io::Result<Option<Vec<IpAddr>>> {
        assert_eq!(name, name.to_ascii_lowercase());
        let all = (0..=255_u8).flat_map(|last| {
            [IpAddr::from([10, 0, 0, last]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last.into()])]
        });
        Ok(Some(all.collect()))
    }

    fn name_of(&self, address: IpAddr) -> io::Result<Option<String>> {
        Ok(Some(format!("{address}.backend")))
    }
}

fuzz_target!(|input: (&[u8], &[u8])| {
    let (query, reply) = input;
    for (transport, most) in [(Transport::Udp, usize::from(LONGEST)), (Transport::Tcp, 65535)] {
        match Question::read(query, transport) {
            Ok(question) => {
                for forwards in [false, true] {
                    let answer = question.answer(&All, forwards, 7);
                    assert!(answer.is_none_or(|answer| (12..=most).contains(&answer.len())));
                }
                let _ = question.outcome(reply, question.id());
                assert!(question.passed_on(reply, reply.len()).len() <= most);
            }
            Err(refusal) => assert!(refusal.is_none_or(|refusal| refusal.len() <= 512)),
        }
    }
});
