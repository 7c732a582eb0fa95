//! What to measure.

use super::{MlError, loss::Predictions, unusable};
use crate::data::Labels;

/// The metric called `name` of predictions. Sums run in row order, so that the last bit is always the same.
///
/// # Errors
/// When the metric is not for such labels.
pub fn measure(name: &str, predictions: &Predictions, labels: &Labels) -> Result<f64, MlError> {
    match (predictions, labels) {
        (Predictions::Classes(rows), Labels::Classes { indices, names }) => {
            let truth = indices.as_slice();
            match name {
                "accuracy" => Ok(mean(
                    rows.iter().zip(truth).map(|(row, class)| f64::from(u8::from(best(row) == *class as usize))),
                )),
                "log_loss" => {
                    Ok(mean(rows.iter().zip(truth).map(|(row, class)| -row[*class as usize].max(1e-15).ln())))
                }
                "f1" => Ok(f1(rows, truth, names.len())),
                "auc" if names.len() == 2 => Ok(auc(rows, truth)),
                "auc" => Err(unusable(
                    format!("`auc` is for two classes, but the data has {}", names.len()),
                    "use `accuracy` or `f1`",
                )),
                other => Err(unusable(
                    format!("`{other}` is for labels that are numbers, not classes"),
                    "use `accuracy`, `f1` or `log_loss`",
                )),
            }
        }
        (Predictions::Numbers(rows), labels) => {
            let truth: Vec<f64> = match labels {
                Labels::Numbers(numbers) => numbers.iter().map(|number| f64::from(*number)).collect(),
                Labels::Classes { indices, .. } => indices.iter().map(|index| f64::from(*index)).collect(),
            };
            let errors = || rows.iter().zip(&truth).map(|(row, truth)| f64::from(*row) - truth);
            match name {
                "mse" => Ok(mean(errors().map(|error| error * error))),
                "mae" => Ok(mean(errors().map(f64::abs))),
                "r2" => {
                    let centre = mean(truth.iter().copied());
                    let spread: f64 = truth.iter().map(|truth| (truth - centre).powi(2)).sum();
                    Ok(1.0 - errors().map(|error| error * error).sum::<f64>() / spread)
                }
                other => Err(unusable(
                    format!("`{other}` is for classes, not for labels that are numbers"),
                    "use `mse`, `mae` or `r2`",
                )),
            }
        }
        (Predictions::Classes(_), Labels::Numbers(_)) => Err(unusable(
            "the model predicts classes, but the label is a number",
            "judge it on the data it was made for",
        )),
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    values.sum::<f64>() / count as f64
}

/// The first of the most probable classes.
fn best(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
}

/// With two classes that of the second; with more the mean over all. A class that neither occurs nor is predicted counts 0.
fn f1(rows: &[Vec<f64>], truth: &[u32], classes: usize) -> f64 {
    let score = |class: usize| {
        let (mut right, mut wrong) = (0.0, 0.0);
        for (row, truth) in rows.iter().zip(truth) {
            match (best(row) == class, *truth as usize == class) {
                (true, true) => right += 1.0,
                (false, false) => {}
                _ => wrong += 1.0,
            }
        }
        if right == 0.0 { 0.0 } else { 2.0 * right / (2.0 * right + wrong) }
    };
    if classes == 2 { score(1) } else { mean((0..classes).map(score)) }
}

/// The probability that a sample of the second class is ranked above one of the first, ties counting half: the rank-sum
/// statistic of Mann and Whitney (1947). NaN when one class is absent.
fn auc(rows: &[Vec<f64>], truth: &[u32]) -> f64 {
    let mut scored: Vec<(f64, bool)> = rows.iter().zip(truth).map(|(row, class)| (row[1], *class == 1)).collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = scored.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = scored.len() as f64 - positives;
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < scored.len() {
        let end = start + scored[start..].iter().take_while(|(score, _)| *score == scored[start].0).count();
        let rank = (start + end + 1) as f64 / 2.0;
        rank_sum += rank * scored[start..end].iter().filter(|(_, positive)| *positive).count() as f64;
        start = end;
    }
    (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives)
}

#[cfg(test)]
mod tests {
    use super::measure;
    use crate::{data::Labels, ml::loss::Predictions};

    fn two(scores: &[f64], truth: &[u32]) -> (Predictions, Labels) {
        let rows = scores.iter().map(|score| vec![1.0 - score, *score]).collect();
        (
            Predictions::Classes(rows),
            Labels::Classes { indices: truth.to_vec(), names: vec!["no".into(), "yes".into()] },
        )
    }

    fn of(name: &str, (predictions, labels): &(Predictions, Labels)) -> f64 {
        measure(name, predictions, labels).unwrap()
    }

    #[test]
    fn metrics_of_two_classes_by_hand() {
        let case = two(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1]);
        assert_eq!(of("accuracy", &case), 0.75);
        assert_eq!(of("auc", &case), 0.75);
        // One hit, one miss, no false alarm.
        assert!((of("f1", &case) - 2.0 / 3.0).abs() < 1e-12);
        let wanted = -(0.9_f64.ln() + 0.6_f64.ln() + 0.35_f64.ln() + 0.8_f64.ln()) / 4.0;
        assert!((of("log_loss", &case) - wanted).abs() < 1e-12);
    }

    #[test]
    fn ties_count_half_in_the_area() {
        assert_eq!(of("auc", &two(&[0.5, 0.5, 0.5, 0.5], &[0, 1, 0, 1])), 0.5);
    }

    #[test]
    fn metrics_of_numbers_by_hand() {
        let case = (Predictions::Numbers(vec![1.0, 2.0, 4.0]), Labels::Numbers(vec![1.0, 3.0, 2.0]));
        assert!((of("mse", &case) - 5.0 / 3.0).abs() < 1e-12);
        assert_eq!(of("mae", &case), 1.0);
        assert!((of("r2", &case) - (1.0 - 5.0 / 2.0)).abs() < 1e-12);
    }

    #[test]
    fn a_metric_of_numbers_is_refused_for_classes() {
        let (predictions, labels) = two(&[0.5], &[1]);
        assert!(measure("mae", &predictions, &labels).is_err());
    }
}
