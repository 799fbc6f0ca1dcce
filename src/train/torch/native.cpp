// What siglab asks of libtorch that torch-sys has no function for. Tensors are `at::Tensor*`, as torch-sys has them; what
// libtorch throws comes back as text, which the caller frees, for nothing may be thrown through Rust.

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adamw.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>

namespace {

template <typename F>
char* told(F&& work) {
  char* said = nullptr;
  try {
    work();
    return nullptr;
  } catch (const std::exception& error) {
    said = strdup(error.what());
  } catch (...) {
    said = strdup("libtorch threw what is no exception");
  }
  // Silence would pass for success.
  if (said == nullptr) {
    std::abort();
  }
  return said;
}

}  // namespace

extern "C" {

// One update of `w` with its moments `m` and `v`, all of one kind and place, in one pass. `step` holds its number.
char* siglab_adamw(at::Tensor* w, at::Tensor* g, at::Tensor* m, at::Tensor* v, at::Tensor* step, double lr,
                   double beta1, double beta2, double weight_decay, double eps) {
  return told([&] {
    at::_fused_adamw_({*w}, {*g}, {*m}, {*v}, {}, {*step}, lr, beta1, beta2, weight_decay, eps,
                      /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/{}, /*found_inf=*/{});
  });
}

// A copy of `host` on a GPU, by a stream of the calling thread's own, which is waited for. What the GPU does with the copy
// later is on its default stream: the copy's memory is not given to others before that is done.
char* siglab_upload(at::Tensor* host, int index, at::Tensor** copy) {
  return told([&] {
    const c10::Device device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index));
    const c10::impl::VirtualGuardImpl gpu(c10::DeviceType::CUDA);
    thread_local std::map<int, c10::Stream> streams;
    auto own = streams.find(index);
    if (own == streams.end()) {
      own = streams.emplace(index, gpu.getStreamFromGlobalPool(device)).first;
    }
    const c10::Stream stream = own->second;
    const c10::StreamGuard on(stream);
    const at::Tensor there = host->pin_memory().to(device, /*non_blocking=*/true);
    there.record_stream(gpu.getDefaultStream(device));
    gpu.synchronizeStream(stream);
    *copy = new at::Tensor(there);
  });
}

// The most bytes that tensors on a GPU have taken at one time; -1 where nothing is known.
long long siglab_peak_bytes(int index) {
  long long peak = -1;
  free(told([&] {
    auto* allocator = c10::getDeviceAllocator(c10::DeviceType::CUDA);
    if (allocator->initialized()) {
      const auto stats = allocator->getDeviceStats(static_cast<c10::DeviceIndex>(index));
      peak = stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
    }
  }));
  return peak;
}

// Let the peak of a GPU be what is taken now.
void siglab_forget_peak(int index) {
  free(told([&] {
    auto* allocator = c10::getDeviceAllocator(c10::DeviceType::CUDA);
    if (allocator->initialized()) {
      allocator->resetPeakStats(static_cast<c10::DeviceIndex>(index));
    }
  }));
}

char* siglab_allow_tf32(bool allow) {
  return told([&] {
    at::globalContext().setAllowTF32CuBLAS(allow);
    at::globalContext().setAllowTF32CuDNN(allow);
  });
}

}  // extern "C"
