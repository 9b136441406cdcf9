//! What was measured, for people and for programs.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured.
    pub measure: String,
    /// Of what.
    pub contender: String,
    /// How much, in `unit`.
    pub value: f64,
    /// The unit.
    pub unit: &'static str,
    /// The target, if there is one.
    pub goal: Option<f64>,
    /// The figure should be no less than its target; else it should be no more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
    /// Whether it is reached, if there is one.
    pub met: Option<bool>,
}

/// All figures of a run, in the order in which they are shown.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The figures. The first of a measure is what the others of it are compared with.
    pub rows: Vec<Row>,
}

impl Report {
    /// Adds a figure without a target.
    pub fn add(&mut self, measure: &str, contender: &str, value: f64, unit: &'static str) {
        self.add_bounded(measure, contender, value, unit, None);
    }

    /// Adds a figure that should be no more than `goal`, where that is known.
    pub fn add_bounded(&mut self, measure: &str, contender: &str, value: f64, unit: &'static str, goal: Option<f64>) {
        self.rows.push(Row {
            measure: measure.to_owned(),
            contender: contender.to_owned(),
            value,
            unit,
            goal,
            at_least: false,
            met: goal.map(|goal| value <= goal),
        });
    }

    /// Adds a figure that should be no less than `goal`, where there is one.
    pub fn add_at_least(&mut self, measure: &str, contender: &str, value: f64, unit: &'static str, goal: Option<f64>) {
        self.rows.push(Row {
            measure: measure.to_owned(),
            contender: contender.to_owned(),
            value,
            unit,
            goal,
            at_least: goal.is_some(),
            met: goal.map(|goal| value >= goal),
        });
    }

    /// One object: `{"rows": […]}`.
    ///
    /// # Errors
    /// Never, for what a run measures.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// A table, with each figure's ratio to the first of its measure.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["measure", "contender", "median", "unit", "ratio", "goal", ""]);
        let mut before = "";
        for row in &self.rows {
            let first = self.rows.iter().find(|first| first.measure == row.measure);
            let is_first = before != row.measure;
            let ratio = first.filter(|first| !is_first && first.value != 0.0);
            let ratio = ratio.map_or(String::new(), |first| format!("× {:.2}", row.value / first.value));
            let measure = if is_first { row.measure.as_str() } else { "" };
            let relation = if row.at_least { "≥" } else { "≤" };
            let goal = row
                .goal
                .map_or(String::new(), |goal| format!("{relation} {}", number(goal)));
            let met = row.met.map_or("", |met| if met { "met" } else { "missed" });
            table.add_row([
                measure,
                &row.contender,
                &number(row.value),
                row.unit,
                &ratio,
                &goal,
                met,
            ]);
            before = &row.measure;
        }
        for column in [2, 4, 5] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        1000.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// The middle one, or the mean of the two in the middle; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => 0.0,
        (length, middle) if length % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        (_, middle) => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_compared_with_the_first_of_its_measure() {
        let mut report = Report::default();
        report.add("latency", "direct", 2.0, "ms");
        report.add("latency", "proxy", 5.0, "ms");
        assert!(report.table().contains("× 2.50"), "{}", report.table());
    }

    #[test]
    fn a_figure_that_has_a_goal_says_whether_it_is_met() {
        let mut report = Report::default();
        report.add_bounded("latency", "good", 2.0, "ms", Some(2.0));
        report.add_bounded("latency", "bad", 2.5, "ms", Some(2.0));
        report.add_bounded("latency", "nobody knows", 2.5, "ms", None);
        report.add_at_least("rate", "good", 2.5, "1/s", Some(2.0));
        report.add_at_least("rate", "bad", 1.5, "1/s", Some(2.0));
        let met: Vec<_> = report.rows.iter().map(|row| row.met).collect();
        assert_eq!(met, [Some(true), Some(false), None, Some(true), Some(false)]);
        assert!(report.table().contains("missed"), "{}", report.table());
    }

    #[test]
    fn programs_get_every_field() {
        let mut report = Report::default();
        report.add("latency", "direct", 2.0, "ms");
        let expected =
            r#"{"rows":[{"measure":"latency","contender":"direct","value":2.0,"unit":"ms","goal":null,"met":null}]}"#;
        assert_eq!(report.json().expect("numbers are JSON"), expected);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
