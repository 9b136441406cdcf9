/// The statements of an SQL file: each ends with a line whose last character is a semicolon. Lines that are comments
/// are left out, so that they may hold semicolons.
pub(super) fn statements(sql: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut statement = String::new();
    for line in sql.lines().filter(|line| !line.trim_start().starts_with("--")) {
        statement.push_str(line);
        statement.push('\n');
        if let Some(whole) = statement.trim_end().strip_suffix(';') {
            statements.push(whole.trim().to_owned());
            statement.clear();
        }
    }
    if !statement.trim().is_empty() {
        statements.push(statement.trim().to_owned());
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn a_file_is_cut_at_lines_that_end_with_a_semicolon() {
        let sql = "-- first; of two\nCREATE TABLE a\n(\n    x String COMMENT 'one; two'  -- inline\n);\n\nSELECT 1;\nSELECT 2\n";
        let cut = statements(sql);
        assert_eq!(cut.len(), 3, "{cut:?}");
        assert!(cut[0].starts_with("CREATE TABLE a") && cut[0].ends_with(')'));
        assert_eq!(cut[1..], ["SELECT 1", "SELECT 2"]);
    }

    #[test]
    fn a_file_of_comments_has_no_statement() {
        assert!(statements("-- nothing\n\n").is_empty());
    }
}
