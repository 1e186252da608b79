//! Measuring one thing done in several ways, for the benches: alternately in one run, with medians and ratios.

use crate::Host;

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs each of `commands` `rounds` times in turn, `pause` seconds apart; gives the median time of each, in
/// milliseconds.
pub fn alternately(host: &Host, commands: &[String], rounds: usize, pause: f64) -> Vec<f64> {
    let mut figures = vec![Vec::new(); commands.len()];
    for round in 0..=rounds {
        for (command, figures) in commands.iter().zip(&mut figures) {
            let measured =
                host.sh(&format!("/run/host/test-host time {pause} -- {command}")).timeout(300).run();
            let took = measured.succeeds().stdout().trim().parse::<f64>().unwrap_or(f64::NAN);
            // The first warms caches.
            if round > 0 {
                figures.push(took / 1000.0);
            }
        }
    }
    figures.into_iter().map(median).collect()
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
