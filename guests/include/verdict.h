/* What every microkernel says, whatever it runs on: lines of text, checks, and at the end one verdict. */
#ifndef VERDICT_H
#define VERDICT_H

#include "text.h"

void test_main(void);

void printk(const char *pattern, ...) __attribute__((format(printf, 1, 2)));
void check(int holds, const char *pattern, ...) __attribute__((format(printf, 2, 3)));
void check_equal(const char *what, u32 found, u32 wanted);
void check_answer(const char *what, s32 found, s32 wanted); /* what a call answered: 0, a count, a negative errno */
void success(void) __attribute__((noreturn));
void skip(const char *pattern, ...) __attribute__((format(printf, 1, 2), noreturn));
void error(const char *pattern, ...) __attribute__((format(printf, 1, 2), noreturn));
void failure(const char *pattern, ...) __attribute__((format(printf, 1, 2), noreturn));
void survived(void) __attribute__((noreturn)); /* the Host should have ended the guest before this */

/* The framework's part, in its report.c. */
void put_line(const char *text, u32 length);
void reach_host(void); /* what is put is heard from here on, and what was put */
void power_off(void) __attribute__((noreturn));

#endif
