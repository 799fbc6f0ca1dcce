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
    fn siglab_allow_tf32(allow: bool) -> *mut c_char;
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
    said(error).unwrap_or_else(|words| panic!("{words}"));
}

/// `values` as a tensor of this shape on GPU `index`, complete; what is computed there goes on meanwhile.
///
/// # Errors
/// What libtorch says, where there is no such GPU, or no room.
///
/// # Panics
/// When the shape has another number of values.
pub fn upload(values: &[f32], shape: &[i64], index: usize) -> Result<Tensor, String> {
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
        said(siglab_upload(
            host.as_ptr().cast_mut(),
            index,
            &raw mut copy,
        ))?;
        Ok(Tensor::from_ptr(copy))
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
///
/// # Panics
/// When libtorch refuses.
pub fn allow_tf32(allow: bool) {
    // SAFETY: it takes no memory of ours.
    let error = unsafe { siglab_allow_tf32(allow) };
    said(error).unwrap_or_else(|words| panic!("{words}"));
}

/// What libtorch said, where it said something.
fn said(error: *mut c_char) -> Result<(), String> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: a text of native.cpp is whole, and ours to free.
    Err(unsafe {
        let text = CStr::from_ptr(error).to_string_lossy().into_owned();
        free(error);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libtorch_throws_is_an_error_with_its_words() {
        let said = upload(&[0.0], &[1], 99).unwrap_err();
        assert!(said.to_lowercase().contains("cuda"), "{said}");
    }

    #[test]
    #[should_panic(expected = "[3]")]
    fn what_is_not_alike_is_not_moved() {
        let how = AdamW {
            lr: 0.1,
            betas: [0.9, 0.99],
            weight_decay: 0.0,
            eps: 1e-8,
        };
        let zeros = |n: i64| Tensor::zeros([n], (Kind::Float, tch::Device::Cpu));
        let [mut w, mut g, mut m, mut v] = [3, 4, 3, 3].map(zeros);
        adamw(how, [&mut w, &mut g, &mut m, &mut v], 1);
    }
}
