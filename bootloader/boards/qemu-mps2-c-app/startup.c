/* Vector table and start. The loader has set VTOR and the stack pointer; faults reset, and the loader decides anew. */
#include <stdint.h>

extern uint32_t _stack_start, __sidata, __sdata, __edata, __sbss, __ebss;

int main(void);

#define CPACR (*(volatile uint32_t *)0xe000ed88u)
#define AIRCR (*(volatile uint32_t *)0xe000ed0cu)

_Noreturn void Reset(void)
{
    const uint32_t *from = &__sidata;
    CPACR |= 0xfu << 20; /* the floating-point unit, which the compilers may use */
    __asm volatile("dsb\n isb" ::: "memory");
    for (uint32_t *to = &__sdata; to < &__edata; to++) {
        *to = *from++;
    }
    for (uint32_t *to = &__sbss; to < &__ebss; to++) {
        *to = 0;
    }
    main();
    for (;;) {
    }
}

static void fault(void)
{
    AIRCR = 0x05fa0004u;
    for (;;) {
    }
}

typedef void (*vector)(void);

/* Armv7-M: stack pointer, reset, 14 exceptions. No interrupt is ever taken. */
__attribute__((section(".vectors"), used)) const vector VECTORS[16] = {
    (vector)(uintptr_t)&_stack_start, Reset, fault, fault, fault, fault, fault, fault,
    fault, fault, fault, fault, fault, fault, fault, fault,
};
