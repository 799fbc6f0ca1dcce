//! Tensors with their axes in another order.

/// `values`, row-major of `shape`, with axis `order[i]` as axis i of the result.
pub fn transposed(values: &[f32], shape: &[usize], order: &[usize]) -> Vec<f32> {
    debug_assert_eq!(values.len(), shape.iter().product::<usize>());
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let lengths: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
    let steps: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
    let mut out = Vec::with_capacity(values.len());
    let mut place = vec![0; order.len()];
    let mut at = 0;
    for _ in 0..values.len() {
        out.push(values[at]);
        for axis in (0..place.len()).rev() {
            place[axis] += 1;
            at += steps[axis];
            if place[axis] < lengths[axis] {
                break;
            }
            at -= steps[axis] * lengths[axis];
            place[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_change_places() {
        let values: Vec<f32> = (0..24).map(|x| x as f32).collect();
        assert_eq!(
            transposed(&values[..6], &[2, 3], &[1, 0]),
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
        let moved = transposed(&values, &[2, 3, 4], &[2, 0, 1]);
        for (i, j, k) in
            (0..2).flat_map(|i| (0..3).flat_map(move |j| (0..4).map(move |k| (i, j, k))))
        {
            assert_eq!(moved[(k * 2 + i) * 3 + j], values[(i * 3 + j) * 4 + k]);
        }
        assert_eq!(transposed(&values, &[2, 3, 4], &[0, 1, 2]), values);
        assert_eq!(transposed(&[7.0], &[], &[]), [7.0]);
    }
}
