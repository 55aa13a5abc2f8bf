//! What breaks, in words for people.

use crate::compat::Broken;

/// `42703 in select-named, update; 42601 in insert-positional; 2 more as statements prepared before`.
pub fn by_state(broken: &[&Broken]) -> String {
    let is_new = |b: &&&Broken| broken.iter().all(|o| o.prepared) || !b.prepared;
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for b in broken.iter().filter(is_new) {
        let shape = b.shape.to_string();
        match groups.iter_mut().find(|(state, _)| *state == b.sqlstate) {
            Some((_, shapes)) if shapes.contains(&shape) => {}
            Some((_, shapes)) => shapes.push(shape),
            None => groups.push((&b.sqlstate, vec![shape])),
        }
    }
    let mut out: Vec<String> = groups.into_iter().map(|(state, shapes)| format!("{state} in {}", shapes.join(", "))).collect();
    match broken.iter().filter(|b| b.prepared).count() {
        0 => {}
        n if n == broken.len() => return format!("{}, as statements prepared before", out.join("; ")),
        n => out.push(format!("{n} more as statements prepared before")),
    }
    out.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::RelName;
    use crate::compat::Shape;

    #[test]
    fn states_come_first_and_prepared_statements_are_counted() {
        let broken = |shape: Shape, state: &str, prepared: bool| Broken {
            relation: RelName::new("public", "t"),
            shape,
            prepared,
            sqlstate: state.into(),
            because: None,
        };
        let fresh = [
            broken(Shape::SelectNamed, "42703", false),
            broken(Shape::InsertPositional, "42601", false),
            broken(Shape::Update, "42703", false),
        ];
        let prepared = [broken(Shape::SelectStar, "0A000", true), broken(Shape::InsertReturningStar, "0A000", true)];
        let all: Vec<&Broken> = fresh.iter().chain(&prepared).collect();
        assert_eq!(by_state(&all), "42703 in select-named, update; 42601 in insert-positional; 2 more as statements prepared before");
        assert_eq!(by_state(&all[3..]), "0A000 in select-star, insert-returning-star, as statements prepared before");
        assert_eq!(by_state(&all[..1]), "42703 in select-named");
    }
}
