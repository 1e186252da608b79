//! Lines up columns as Docker's tables do.
//!
//! Docker writes its tables through Go's text/tabwriter (<https://pkg.go.dev/text/tabwriter>) with a minimum width
//! of 10 and a padding of 3. A cell is text that a tab ends; a column is a run of consecutive lines that have a cell
//! there; the text after a line's last tab belongs to no column, so the last column is not padded. Scripts cut
//! these tables by position, so the rules are kept to the space.

/// No column is narrower.
const MIN_WIDTH: usize = 10;

/// Spaces between a column's widest cell and the next column.
const PADDING: usize = 3;

/// Replaces the tabs of `text` by spaces so that its columns line up. Widths are counted in characters.
pub fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let widths = widths(&lines);
    let mut out = String::with_capacity(text.len() * 2);
    for (index, (cells, widths)) in lines.iter().zip(&widths).enumerate() {
        if index > 0 {
            out.push('\n');
        }
        for (column, cell) in cells.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths.get(column) {
                out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
            }
        }
    }
    out
}

/// For each line, the widths of its cells that end with a tab.
fn widths(lines: &[Vec<&str>]) -> Vec<Vec<usize>> {
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|_| Vec::new()).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0).saturating_sub(1);
    for column in 0..columns {
        let mut line = 0;
        while line < lines.len() {
            let run = lines.iter().skip(line).take_while(|cells| cells.len() > column + 1);
            let cells: Vec<usize> =
                run.map(|cells| cells.get(column).map_or(0, |cell| cell.chars().count())).collect();
            let width = cells.iter().max().map_or(0, |widest| (widest + PADDING).max(MIN_WIDTH));
            for widths in widths.iter_mut().skip(line).take(cells.len()) {
                widths.push(width);
            }
            line += cells.len().max(1);
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::align;
    use proptest::prelude::*;

    #[test]
    fn a_table_is_spaced_as_dockers() {
        let text = "CONTAINER ID\tIMAGE\tCOMMAND\tCREATED\tSTATUS\tPORTS\tNAMES\n\
            4c01db0b339c\tnginx:latest\t\"/docker-entrypoint.…\"\t3 years ago\tUp 2 hours\t0.0.0.0:8080->80/tcp\teager_wozniak\n";
        let expected = "\
CONTAINER ID   IMAGE          COMMAND                  CREATED       STATUS       PORTS                  NAMES
4c01db0b339c   nginx:latest   \"/docker-entrypoint.…\"   3 years ago   Up 2 hours   0.0.0.0:8080->80/tcp   eager_wozniak
";
        assert_eq!(align(text), expected);
    }

    #[test]
    fn a_column_is_ten_wide_at_least() {
        assert_eq!(
            align("CONTAINER ID\tIMAGE\tCOMMAND\tCREATED\tSTATUS\tPORTS\tNAMES\n"),
            "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
        );
    }

    #[test]
    fn a_line_without_the_cell_ends_the_column() {
        assert_eq!(
            align("a\tb\nxxxxxxxxxxxx\nlonger than ten\tb"),
            "a         b\nxxxxxxxxxxxx\nlonger than ten   b"
        );
        assert_eq!(align("a\t\tb\n\t\tc\n"), "a                   b\n                    c\n");
    }

    proptest! {
        #[test]
        fn only_tabs_change(text in "[a-zé\t\n]{0,60}") {
            let aligned = align(&text);
            prop_assert!(!aligned.contains('\t'));
            let letters = |text: &str| text.replace(['\t', ' '], "");
            prop_assert_eq!(letters(&aligned), letters(&text));
        }
    }
}
