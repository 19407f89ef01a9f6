/* Output and time for programs at ring 3. */
#include "user.h"

void write_text(const char *text, u32 length) { system_call(SYS_write, (u32)text, length, 0); }

void print(const char *pattern, ...) {
  char buffer[512];
  __builtin_va_list arguments;
  __builtin_va_start(arguments, pattern);
  u32 length = vformat(buffer, sizeof buffer, pattern, arguments);
  __builtin_va_end(arguments);
  write_text(buffer, length);
}

void set_name(const char *name) {
  char buffer[16] = {0};
  format(buffer, sizeof buffer, "%s", name);
  system_call(SYS_setname, (u32)buffer, 0, 0);
}

const char *trap_name(int status) {
  if (!(status & STATUS_TRAP))
    return NULL;
  switch (status & 0xff) {
  case 0: return "divide error";
  case 6: return "invalid opcode";
  case 7: return "no floating point here";
  case 13: return "general protection fault";
  case 14: return "page fault";
  }
  return "another trap";
}

u64 ticks_to_ns(u64 ticks) {
  static u32 khz;
  u32 rest;
  if (!khz) {
    struct system_info info;
    system_call(SYS_sysinfo, (u32)&info, 0, 0);
    khz = info.tsc_khz ? info.tsc_khz : 1000000;
  }
  u64 ms = divide(ticks, khz, &rest);
  return ms * 1000000 + divide((u64)rest * 1000000, khz, NULL);
}

void print_cost(const char *what, u64 ticks, u32 count) {
  u64 each = count ? divide(ticks, count, NULL) : 0;
  print("  %'9u %-28s %'8llu ticks, %'8llu ns each\n", count, what, each, ticks_to_ns(each));
}
