#include "errors.hpp"

#include <c10/util/Exception.h>

#include <new>

namespace exatrkx {

std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const c10::Error& failure) {
    return failure.what_without_backtrace();
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& failure) {
    return failure.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

bool is_refusal(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ContractError&) {
    return true;
  } catch (const GraphTooLargeError&) {
    return true;
  } catch (const EventTooLargeError&) {
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace exatrkx
