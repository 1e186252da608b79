//! What the kernel does with a filter, for tests: the part of classic BPF that seccomp(2) takes and the
//! compiler writes. It refuses what the kernel's checker refuses (bpf_check_classic, seccomp_check_filter).

/// struct sock_filter: code, jt, jf, k.
pub(crate) type Raw = (u16, u8, u8, u32);

/// struct seccomp_data, but for the instruction pointer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) arch: u32,
    pub(crate) number: u32,
    pub(crate) args: [u64; 6],
}

impl Call {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 if offset.is_multiple_of(8) => self.args[(offset as usize - 16) / 8] as u32,
            16..64 if offset.is_multiple_of(4) => (self.args[(offset as usize - 16) / 8] >> 32) as u32,
            _ => unreachable!("a load at {offset}"),
        }
    }
}

/// Panics unless the kernel would take this program.
pub(crate) fn check(program: &[Raw]) {
    assert!((1..=4096).contains(&program.len()), "{} instructions", program.len());
    for (at, (code, jt, jf, k)) in program.iter().enumerate() {
        let left = program.len() - at - 1;
        match code {
            0x20 => assert!(*k < 64 && k % 4 == 0, "{at}: a load at {k}"),
            0x54 | 0x06 => {}
            0x05 => assert!((*k as usize) < left, "{at}: jumps out"),
            0x15 | 0x25 | 0x35 => assert!(usize::from(*jt.max(jf)) < left, "{at}: jumps out"),
            _ => unreachable!("{at}: unknown operation {code:#x}"),
        }
    }
    assert!(matches!(program, [.., (0x06, ..)]), "does not end in a return");
}

/// What the program returns, and after how many instructions.
pub(crate) fn run(program: &[Raw], call: &Call) -> (u32, usize) {
    let (mut at, mut accumulator) = (0, 0);
    for steps in 1.. {
        let (code, jt, jf, k) = program[at];
        at += 1;
        let skip = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = call.word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += skip(accumulator == k),
            0x25 => at += skip(accumulator > k),
            0x35 => at += skip(accumulator >= k),
            0x06 => return (k, steps),
            _ => unreachable!("unknown operation {code:#x}"),
        }
    }
    unreachable!()
}
