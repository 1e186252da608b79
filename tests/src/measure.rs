//! Measuring one thing done in several ways, for the benches: alternately in one run, with medians and ratios.

use crate::Host;

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The largest: of rates, the one that nobody else on the machine got in the way of.
pub fn best(figures: Vec<f64>) -> f64 {
    figures.into_iter().fold(f64::NAN, f64::max)
}

/// Takes each of `count` figures `rounds` times in turn, after once that warms caches; gives what `choose` makes of each one's
/// (such as [`median`]). `measure` is told which one.
pub fn in_turn(
    count: usize,
    rounds: usize,
    choose: impl Fn(Vec<f64>) -> f64,
    mut measure: impl FnMut(usize) -> f64,
) -> Vec<f64> {
    let mut figures = vec![Vec::new(); count];
    for round in 0..=rounds {
        for (which, figures) in figures.iter_mut().enumerate() {
            let figure = measure(which);
            if round > 0 {
                figures.push(figure);
            }
        }
    }
    figures.into_iter().map(choose).collect()
}

/// How long `command` takes on the host after a pause of so many seconds, in milliseconds.
pub fn time(host: &Host, command: &str, pause: f64) -> f64 {
    figure(host, &format!("/run/host/test-host time {pause} -- {command}")) / 1000.0
}

/// The figure that `script` prints on the host.
pub fn figure(host: &Host, script: &str) -> f64 {
    host.sh(script).timeout(300).stdout().trim().parse().unwrap_or(f64::NAN)
}

/// Runs each of `commands` `rounds` times in turn, `pause` seconds apart; gives the median time of each, in
/// milliseconds.
pub fn alternately(host: &Host, commands: &[String], rounds: usize, pause: f64) -> Vec<f64> {
    in_turn(commands.len(), rounds, median, |which| time(host, &commands[which], pause))
}

/// One line of the table: each figure, and its ratio to the first.
pub fn print_row(what: &str, figures: &[f64], unit: &str) {
    print!("{what:<44}");
    let first = figures.first().copied().unwrap_or(f64::NAN);
    for figure in figures {
        print!("{:>12}", format!("{figure:.2} {unit}"));
        print!("{:>9}", format!("×{:.2}", figure / first));
    }
    println!();
}
