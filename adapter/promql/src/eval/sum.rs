//! Sums that lose little: Neumaier's variant of Kahan's summation, as Prometheus sums.

/// A sum and what rounding took from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

/// A mean that does not overflow while its numbers do not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    sum: Sum,
    count: f64,
    /// The mean so far, once the sum would have overflowed.
    running: Option<Sum>,
}

// === impl Sum ===

impl Sum {
    pub(super) fn add(&mut self, number: f64) {
        let sum = self.sum + number;
        if sum.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= number.abs() {
            self.lost += (self.sum - sum) + number;
        } else {
            self.lost += (number - sum) + self.sum;
        }
        self.sum = sum;
    }

    pub(super) fn total(self) -> f64 {
        // What infinity lost is not a number.
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }

    fn scaled(self, factor: f64) -> Self {
        Self { sum: self.sum * factor, lost: self.lost * factor }
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        let mut sum = Self::default();
        numbers.into_iter().for_each(|number| sum.add(number));
        sum
    }
}

// === impl Mean ===

impl Mean {
    pub(super) fn add(&mut self, number: f64) {
        self.count += 1.0;
        if self.running.is_none() {
            let mut sum = self.sum;
            sum.add(number);
            // The first number is taken as it is, also when it is infinite.
            if !sum.sum.is_infinite() || self.count <= 1.0 {
                self.sum = sum;
                return;
            }
            self.running = Some(self.sum.scaled(1.0 / (self.count - 1.0)));
        }
        if let Some(mean) = &mut self.running {
            *mean = mean.scaled((self.count - 1.0) / self.count);
            mean.add(number / self.count);
        }
    }

    pub(super) fn mean(self) -> f64 {
        match self.running {
            Some(mean) => mean.total(),
            None if self.sum.sum.is_infinite() => self.sum.sum,
            None => self.sum.sum / self.count + self.sum.lost / self.count,
        }
    }
}

impl FromIterator<f64> for Mean {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        let mut mean = Self::default();
        numbers.into_iter().for_each(|number| mean.add(number));
        mean
    }
}

/// The variance of all numbers, by Welford's recurrence.
pub(super) fn variance(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for number in numbers {
        count += 1.0;
        let delta = number - mean.total();
        mean.add(delta / count);
        squares.add(delta * (number - mean.total()));
    }
    squares.total() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_survive_beside_large_ones() {
        let sum = |numbers: &[f64]| numbers.iter().copied().collect::<Sum>().total();
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert_eq!(sum(&[]), 0.0);
    }

    #[test]
    fn means_do_not_overflow() {
        let mean = |numbers: &[f64]| numbers.iter().copied().collect::<Mean>().mean();
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
        assert_eq!(mean(&[f64::MAX, f64::MAX]), f64::MAX);
        assert_eq!(mean(&[f64::INFINITY]), f64::INFINITY);
        assert_eq!(mean(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert_eq!(mean(&[1.0, f64::NEG_INFINITY, 1.0]), f64::NEG_INFINITY);
        assert!(mean(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn variances() {
        assert_eq!(variance([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter()), 4.0);
        assert_eq!(variance([1.5].into_iter()), 0.0);
        assert!(variance([1.0, f64::INFINITY].into_iter()).is_nan());
    }
}
