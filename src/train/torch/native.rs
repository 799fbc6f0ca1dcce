//! The functions of native.cpp, safe to call: what libtorch has and torch-sys has not.

use std::ffi::{CStr, c_char, c_int, c_longlong};

use tch::{Kind, Tensor};
use torch_sys::C_tensor;

unsafe extern "C" {
    fn siglab_adamw(
        w: *mut C_tensor,
        g: *mut C_tensor,
        m: *mut C_tensor,
        v: *mut C_tensor,
        step: *mut C_tensor,
        lr: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        eps: f64,
    ) -> *mut c_char;
    fn siglab_upload(host: *mut C_tensor, index: c_int, copy: *mut *mut C_tensor) -> *mut c_char;
    fn siglab_peak_bytes(index: c_int) -> c_longlong;
    fn siglab_forget_peak(index: c_int);
    fn siglab_allow_tf32(allow: bool);
    #[cfg(test)]
    fn siglab_allows_tf32() -> bool;
    fn free(memory: *mut c_char);
}

/// How AdamW moves parameters, by the names of PyTorch.
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    pub lr: f64,
    pub betas: [f64; 2],
    pub weight_decay: f64,
    pub eps: f64,
}

/// Update number `step` of `w`, whose gradient is `g`, and of its moments `m` and `v`, where they lie. All are f32, alike in
/// shape and on one device.
///
/// # Panics
/// When they are not alike, or libtorch refuses, as tch's own functions.
pub fn adamw(how: AdamW, [w, g, m, v]: [&mut Tensor; 4], step: u64) {
    // libtorch does not look, and would write beyond them.
    let looks = |x: &Tensor| (x.size(), x.kind(), x.device(), x.is_contiguous());
    let looks = [&*w, g, m, v].map(looks);
    assert!(looks.iter().all(|look| *look == looks[0]), "{looks:?}");
    assert!(looks[0].1 == Kind::Float && looks[0].3, "{:?}", looks[0]);
    let mut step = Tensor::full([1], step as i64, (Kind::Float, w.device()));
    let AdamW {
        lr,
        betas: [beta1, beta2],
        weight_decay,
        eps,
    } = how;
    let [w, g, m, v] = [w, g, m, v].map(|tensor| tensor.as_mut_ptr());
    // SAFETY: the pointers are of tensors that are borrowed until it returns; it keeps none of them.
    let error = unsafe {
        siglab_adamw(
            w,
            g,
            m,
            v,
            step.as_mut_ptr(),
            lr,
            beta1,
            beta2,
            weight_decay,
            eps,
        )
    };
    check(error);
}

/// `values` as a tensor of this shape on GPU `index`, complete; what is computed there goes on meanwhile.
///
/// # Panics
/// As [`adamw`], and when the shape has another number of values.
pub fn upload(values: &[f32], shape: &[i64], index: usize) -> Tensor {
    assert_eq!(
        shape.iter().product::<i64>(),
        values.len() as i64,
        "{shape:?}"
    );
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    let mut copy = std::ptr::null_mut();
    let index = c_int::try_from(index).expect("few GPUs");
    // SAFETY: shape and strides address `values`, as asserted, which are borrowed until it returns, and `host` is gone by
    // then; where it succeeds `copy` is a tensor of which nobody else knows.
    unsafe {
        let memory = values.as_ptr().cast();
        let host = Tensor::from_blob(memory, shape, &strides, Kind::Float, tch::Device::Cpu);
        check(siglab_upload(
            host.as_ptr().cast_mut(),
            index,
            &raw mut copy,
        ));
        Tensor::from_ptr(copy)
    }
}

/// The most bytes that tensors on GPU `index` have taken at one time.
pub fn peak_bytes(index: u16) -> Option<u64> {
    // SAFETY: it takes no memory of ours.
    u64::try_from(unsafe { siglab_peak_bytes(index.into()) }).ok()
}

/// Let [`peak_bytes`] of GPU `index` begin again.
pub fn forget_peak(index: u16) {
    // SAFETY: it takes no memory of ours.
    unsafe { siglab_forget_peak(index.into()) }
}

/// Whether f32 products on GPUs may round their factors to TF32, in the whole process.
pub fn allow_tf32(allow: bool) {
    // SAFETY: it takes no memory of ours.
    unsafe { siglab_allow_tf32(allow) }
}

#[cfg(test)]
fn allows_tf32() -> bool {
    // SAFETY: it takes no memory of ours.
    unsafe { siglab_allows_tf32() }
}

/// # Panics
/// With what libtorch said, where it said something.
fn check(error: *mut c_char) {
    if error.is_null() {
        return;
    }
    // SAFETY: a text of native.cpp is whole, and ours to free.
    let text = unsafe {
        let text = CStr::from_ptr(error).to_string_lossy().into_owned();
        free(error);
        text
    };
    panic!("{text}");
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::train::device::{keeps_bits, tested};
    use crate::util::panic_words;

    /// On a GPU it would be on for other tests too.
    #[test]
    fn tf32_is_off_until_it_is_allowed() {
        if !keeps_bits() && tested() != Device::libtorch() {
            return;
        }
        allow_tf32(false);
        assert!(!allows_tf32());
        allow_tf32(true);
        assert!(allows_tf32());
        allow_tf32(false);
    }

    #[test]
    fn what_libtorch_throws_is_a_panic_with_its_words() {
        let nowhere = std::panic::catch_unwind(|| upload(&[0.0], &[1], 99));
        let said = nowhere.unwrap_err();
        let said = panic_words(&*said).unwrap();
        assert!(said.to_lowercase().contains("cuda"), "{said}");
    }
}
