/* What a program at ring 3 has: system calls, a printf, and the commands of the shell. */
#ifndef USER_H
#define USER_H

#include "../syscalls.h"
#include "text.h"

int system_call(int number, u32 one, u32 two, u32 three);

static inline int fork(void) { return system_call(SYS_fork, 0, 0, 0); }
static inline void exit(int status) { system_call(SYS_exit, status, 0, 0); }
static inline int wait(int *status) { return system_call(SYS_wait, (u32)status, 0, 0); }
static inline int getpid(void) { return system_call(SYS_getpid, 0, 0, 0); }
static inline void yield(void) { system_call(SYS_yield, 0, 0, 0); }
static inline void sleep_ms(u32 ms) { system_call(SYS_sleep, ms, 0, 0); }
static inline void *sbrk(s32 bytes) { return (void *)system_call(SYS_sbrk, bytes, 0, 0); }
static inline void reboot(int how) { system_call(SYS_reboot, how, 0, 0); }

void print(const char *pattern, ...) __attribute__((format(printf, 1, 2)));
void write_text(const char *text, u32 length);
void set_name(const char *name);

/* Why a process ended, in words; NULL when it ended by itself. */
const char *trap_name(int status);

/* Ticks as time, by the rate that the kernel was told. */
u64 ticks_to_ns(u64 ticks);

/* One line of a table: how many, what, and what one of them cost. */
void print_cost(const char *what, u64 ticks, u32 count);

struct command {
  const char *name, *arguments, *help;
  int (*run)(int count, char **words);
  int in_shell; /* runs in the shell itself, not in a child of its own */
};

extern const struct command commands[];
extern const u32 command_count;

int run_line(char *line);
int edit_line(char *line, u32 size);

#endif
