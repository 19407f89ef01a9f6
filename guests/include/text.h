/* Strings and formatted text, shared by the kernels and by the programs that run on them. */
#ifndef TEXT_H
#define TEXT_H

#include "types.h"

void *memcpy(void *to, const void *from, u32 bytes);
void *memmove(void *to, const void *from, u32 bytes);
void *memset(void *to, int byte, u32 bytes);
u32 strlen(const char *text);
int strcmp(const char *left, const char *right);
int strncmp(const char *left, const char *right, u32 max);
char *strstr(const char *text, const char *part);

/* Parses an unsigned decimal number (0x… for hexadecimal); `otherwise` when the text is not one. */
u32 parse_number(const char *text, u32 otherwise);

/*
 * Formats into `buffer` (never past `size`, always terminated) and returns the length.
 * %d %u %x %c %s %p, %llu, a width, 0 and - as in C, and %' for digits in groups of three.
 */
u32 vformat(char *buffer, u32 size, const char *pattern, __builtin_va_list arguments);
u32 format(char *buffer, u32 size, const char *pattern, ...) __attribute__((format(printf, 3, 4)));

#endif
