//! Schedules of `CronJobs`, in the words of the library that the controller reads them with (robfig/cron `ParseStandard`).

/// A field of a schedule: what it is called, its bounds and the names that stand for numbers.
struct Field {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 5] = [
    Field { least: 0, most: 59, names: &[] },
    Field { least: 0, most: 23, names: &[] },
    Field { least: 1, most: 31, names: &[] },
    Field { least: 1, most: 12, names: &MONTHS },
    Field { least: 0, most: 6, names: &DAYS },
];
const DESCRIPTORS: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Whether the text is a schedule; the error says why it is none.
pub(super) fn parse(text: &str) -> Result<(), String> {
    if text.contains("TZ=") {
        return Err("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".to_owned());
    }
    if text.starts_with('@') {
        let every = text
            .strip_prefix("@every ")
            .is_some_and(|rest| crate::manifest::values::duration(rest).is_some());
        if DESCRIPTORS.contains(&text) || every {
            return Ok(());
        }
        return Err(format!("unrecognized descriptor: {text}"));
    }
    let fields = text.split_whitespace().collect::<Vec<_>>();
    if fields.len() != FIELDS.len() {
        let found = fields.join(" ");
        return Err(format!("expected exactly 5 fields, found {}: [{found}]", fields.len()));
    }
    fields
        .iter()
        .zip(&FIELDS)
        .try_for_each(|(text, field)| text.split(',').try_for_each(|part| range(part, field)))
}

fn range(text: &str, field: &Field) -> Result<(), String> {
    let mut halves = text.split('/');
    let (span, step) = (halves.next().unwrap_or(""), halves.next());
    if halves.next().is_some() {
        return Err(format!("too many slashes: {text}"));
    }
    let mut ends = span.split('-');
    let (first, last) = (ends.next().unwrap_or(""), ends.next());
    if ends.next().is_some() {
        return Err(format!("too many hyphens: {text}"));
    }
    let (start, end) = if matches!(first, "*" | "?") {
        (field.least, field.most)
    } else {
        let start = number(first, field)?;
        let end = match last {
            Some(last) => number(last, field)?,
            None if step.is_some() => field.most,
            None => start,
        };
        (start, end)
    };
    let step = step.map_or(Ok(1), |step| number(step, &Field { least: 0, most: 0, names: &[] }))?;
    if start < field.least {
        return Err(format!("beginning of range ({start}) below minimum ({}): {text}", field.least));
    }
    if end > field.most {
        return Err(format!("end of range ({end}) above maximum ({}): {text}", field.most));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok(())
}

fn number(text: &str, field: &Field) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    if let Some(at) = field.names.iter().position(|name| *name == lower) {
        return Ok(field.least + at as u32);
    }
    let wrong = format!("failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": invalid syntax");
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Err(format!("negative number ({number}) not allowed: {text}")),
        Ok(number) => u32::try_from(number).map_err(|_| wrong),
        Err(_) => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn schedules_are_read_as_the_controller_reads_them() {
        for right in
            ["*/5 * * * *", "0 0 1,15 * mon-fri", "@daily", "@every 1h30m", "? 4 * JAN 0", "10-50/10 * * * *"]
        {
            assert_eq!(parse(right), Ok(()), "{right}");
        }
        for (wrong, why) in [
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("61 * * * *", "end of range (61) above maximum (59): 61"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("@often", "unrecognized descriptor: @often"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ] {
            assert_eq!(parse(wrong), Err(why.to_owned()));
        }
    }
}
