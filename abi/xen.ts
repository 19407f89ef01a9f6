/**
 * The Xen guest interface as numbers: hypercalls, their sub-commands, errno. Layouts are in xen-layout.ts.
 * Plain constants, valid as AssemblyScript and as TypeScript. Names keep the spelling of Xen's public headers (xen/include/public).
 */

// ---------------------------------------------------------------------------------------------------------------
// Hypercalls (xen.h, arch-x86/xen-x86_32.h): int 0x82 from ring 1; number in EAX, arguments in EBX ECX EDX ESI EDI
// ---------------------------------------------------------------------------------------------------------------

export const TRAP_HYPERCALL = 0x82;

/** What xen_version and CPUID say: 4.17. */
export const XEN_VERSION = 0x00040011;

export const HYPERVISOR_SET_TRAP_TABLE = 0;
export const HYPERVISOR_MMU_UPDATE = 1;
export const HYPERVISOR_SET_GDT = 2;
export const HYPERVISOR_STACK_SWITCH = 3;
export const HYPERVISOR_SET_CALLBACKS = 4;
export const HYPERVISOR_FPU_TASKSWITCH = 5;
export const HYPERVISOR_SCHED_OP_COMPAT = 6;
export const HYPERVISOR_PLATFORM_OP = 7;
export const HYPERVISOR_SET_DEBUGREG = 8;
export const HYPERVISOR_GET_DEBUGREG = 9;
export const HYPERVISOR_UPDATE_DESCRIPTOR = 10;
export const HYPERVISOR_MEMORY_OP = 12;
export const HYPERVISOR_MULTICALL = 13;
export const HYPERVISOR_UPDATE_VA_MAPPING = 14;
export const HYPERVISOR_SET_TIMER_OP = 15;
export const HYPERVISOR_EVENT_CHANNEL_OP_COMPAT = 16;
export const HYPERVISOR_XEN_VERSION = 17;
export const HYPERVISOR_CONSOLE_IO = 18;
export const HYPERVISOR_PHYSDEV_OP_COMPAT = 19;
export const HYPERVISOR_GRANT_TABLE_OP = 20;
export const HYPERVISOR_VM_ASSIST = 21;
export const HYPERVISOR_UPDATE_VA_MAPPING_OTHERDOMAIN = 22;
export const HYPERVISOR_IRET = 23;
export const HYPERVISOR_VCPU_OP = 24;
export const HYPERVISOR_MMUEXT_OP = 26;
export const HYPERVISOR_XSM_OP = 27;
export const HYPERVISOR_NMI_OP = 28;
export const HYPERVISOR_SCHED_OP = 29;
export const HYPERVISOR_CALLBACK_OP = 30;
export const HYPERVISOR_XENOPROF_OP = 31;
export const HYPERVISOR_EVENT_CHANNEL_OP = 32;
export const HYPERVISOR_PHYSDEV_OP = 33;
export const HYPERVISOR_HVM_OP = 34;
export const HYPERVISOR_SYSCTL = 35;
export const HYPERVISOR_DOMCTL = 36;
export const HYPERVISOR_KEXEC_OP = 37;
export const HYPERVISOR_TMEM_OP = 38;
export const HYPERVISOR_ARGO_OP = 39;
export const HYPERVISOR_XENPMU_OP = 40;
export const HYPERVISOR_DM_OP = 41;
export const HYPERVISOR_HYPFS_OP = 42;
export const HYPERVISOR_MCA = 48;
export const HYPERVISOR_PAGING_DOMCTL_CONT = 49;
/** One more than the highest number that a hypercall page has a slot for. */
export const HYPERVISOR_SLOTS = 128;
/** Bytes of one slot of the hypercall page. */
export const HYPERCALL_SLOT_BYTES = 32;

// ---------------------------------------------------------------------------------------------------------------
// errno (errno.h): a hypercall returns the negative
// ---------------------------------------------------------------------------------------------------------------

export const XEN_EPERM = 1;
export const XEN_ENOENT = 2;
export const XEN_ESRCH = 3;
export const XEN_EIO = 5;
export const XEN_ENXIO = 6;
export const XEN_E2BIG = 7;
export const XEN_EAGAIN = 11;
export const XEN_ENOMEM = 12;
export const XEN_EACCES = 13;
export const XEN_EFAULT = 14;
export const XEN_EBUSY = 16;
export const XEN_EEXIST = 17;
export const XEN_EXDEV = 18;
export const XEN_ENODEV = 19;
export const XEN_EINVAL = 22;
export const XEN_ENOSPC = 28;
export const XEN_EDOM = 33;
export const XEN_ERANGE = 34;
export const XEN_ENOSYS = 38;
export const XEN_ETIME = 62;
export const XEN_EOPNOTSUPP = 95;
export const XEN_ENOBUFS = 105;

// ---------------------------------------------------------------------------------------------------------------
// Domains
// ---------------------------------------------------------------------------------------------------------------

export const DOMID_FIRST_RESERVED = 0x7ff0;
export const DOMID_SELF = 0x7ff0;
export const DOMID_IO = 0x7ff1;
export const DOMID_XEN = 0x7ff2;
export const DOMID_COW = 0x7ff3;
export const DOMID_INVALID = 0x7ff4;

/** Entries of the machine-to-physical table for frames that back nothing of the guest. */
export const INVALID_M2P_ENTRY = 0x55555555;
/** Entry of a guest's physical-to-machine list for a page without a frame. */
export const INVALID_P2M_ENTRY = 0xffffffff | 0;

// ---------------------------------------------------------------------------------------------------------------
// Address space of a 32-bit guest (arch-x86/xen-x86_32.h)
// ---------------------------------------------------------------------------------------------------------------

/** Linear address where the guest's own address space ends and the machine-to-physical table is readable. */
export const HYPERVISOR_VIRT_START = 0xf5800000 | 0;
/** First linear address past the machine-to-physical table. */
export const MACH2PHYS_VIRT_END = 0xf6800000 | 0;
/** First index in the directory of the last GiB that belongs to Xen. */
export const L2_FIRST_XEN_SLOT = 0x1ac;

export const FLAT_RING1_CS = 0xe019;
export const FLAT_RING1_DS = 0xe021;
export const FLAT_RING1_SS = 0xe021;
export const FLAT_RING3_CS = 0xe02b;
export const FLAT_RING3_DS = 0xe033;
export const FLAT_RING3_SS = 0xe033;
/** First descriptor index that is Xen's: a guest has 14 pages of its own. */
export const FIRST_RESERVED_GDT_ENTRY = 7168;
export const FIRST_RESERVED_GDT_PAGE = 14;

// ---------------------------------------------------------------------------------------------------------------
// mmu_update, update_va_mapping, mmuext_op
// ---------------------------------------------------------------------------------------------------------------

export const MMU_NORMAL_PT_UPDATE = 0;
export const MMU_MACHPHYS_UPDATE = 1;
export const MMU_PT_UPDATE_PRESERVE_AD = 2;
export const MMU_PT_UPDATE_NO_TRANSLATE = 3;
/** Bit 31 of a count: the call goes on where it was preempted. */
export const MMU_UPDATE_PREEMPTED = 0x80000000 | 0;

export const UVMF_FLUSHTYPE_MASK = 3;
export const UVMF_NONE = 0;
export const UVMF_TLB_FLUSH = 1;
export const UVMF_INVLPG = 2;
/** Instead of a pointer to a set of vCPUs: all of them. */
export const UVMF_ALL = 4;

export const MMUEXT_PIN_L1_TABLE = 0;
export const MMUEXT_PIN_L2_TABLE = 1;
export const MMUEXT_PIN_L3_TABLE = 2;
export const MMUEXT_PIN_L4_TABLE = 3;
export const MMUEXT_UNPIN_TABLE = 4;
export const MMUEXT_NEW_BASEPTR = 5;
export const MMUEXT_TLB_FLUSH_LOCAL = 6;
export const MMUEXT_INVLPG_LOCAL = 7;
export const MMUEXT_TLB_FLUSH_MULTI = 8;
export const MMUEXT_INVLPG_MULTI = 9;
export const MMUEXT_TLB_FLUSH_ALL = 10;
export const MMUEXT_INVLPG_ALL = 11;
export const MMUEXT_FLUSH_CACHE = 12;
export const MMUEXT_SET_LDT = 13;
export const MMUEXT_NEW_USER_BASEPTR = 15;
export const MMUEXT_CLEAR_PAGE = 16;
export const MMUEXT_COPY_PAGE = 17;
export const MMUEXT_FLUSH_CACHE_GLOBAL = 18;
export const MMUEXT_MARK_SUPER = 19;
export const MMUEXT_UNMARK_SUPER = 20;

// ---------------------------------------------------------------------------------------------------------------
// Traps and callbacks
// ---------------------------------------------------------------------------------------------------------------

/** Flags of struct trap_info: privilege of the gate, and whether the upcall mask is set on entry. */
export const TRAP_INFO_DPL = 3;
export const TRAP_INFO_MASK_EVENTS = 4;

export const CALLBACKTYPE_EVENT = 0;
export const CALLBACKTYPE_FAILSAFE = 1;
export const CALLBACKTYPE_SYSCALL = 2;
export const CALLBACKTYPE_SYSENTER_DEPRECATED = 3;
export const CALLBACKTYPE_NMI = 4;
export const CALLBACKTYPE_SYSENTER = 5;
export const CALLBACKTYPE_SYSCALL32 = 7;
export const CALLBACKF_MASK_EVENTS = 1;
export const CALLBACKOP_REGISTER = 0;
export const CALLBACKOP_UNREGISTER = 1;

export const XENNMI_REGISTER_CALLBACK = 0;
export const XENNMI_UNREGISTER_CALLBACK = 1;

// ---------------------------------------------------------------------------------------------------------------
// sched_op, vcpu_op, timers
// ---------------------------------------------------------------------------------------------------------------

export const SCHEDOP_YIELD = 0;
export const SCHEDOP_BLOCK = 1;
export const SCHEDOP_SHUTDOWN = 2;
export const SCHEDOP_POLL = 3;
export const SCHEDOP_REMOTE_SHUTDOWN = 4;
export const SCHEDOP_SHUTDOWN_CODE = 5;
export const SCHEDOP_WATCHDOG = 6;
export const SCHEDOP_PIN_OVERRIDE = 7;
/** Ports that one SCHEDOP_poll may name. */
export const SCHEDOP_POLL_PORTS = 128;

export const SHUTDOWN_POWEROFF = 0;
export const SHUTDOWN_REBOOT = 1;
export const SHUTDOWN_SUSPEND = 2;
export const SHUTDOWN_CRASH = 3;
export const SHUTDOWN_WATCHDOG = 4;
export const SHUTDOWN_SOFT_RESET = 5;

export const VCPUOP_INITIALISE = 0;
export const VCPUOP_UP = 1;
export const VCPUOP_DOWN = 2;
export const VCPUOP_IS_UP = 3;
export const VCPUOP_GET_RUNSTATE_INFO = 4;
export const VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA = 5;
export const VCPUOP_SET_PERIODIC_TIMER = 6;
export const VCPUOP_STOP_PERIODIC_TIMER = 7;
export const VCPUOP_SET_SINGLESHOT_TIMER = 8;
export const VCPUOP_STOP_SINGLESHOT_TIMER = 9;
export const VCPUOP_REGISTER_VCPU_INFO = 10;
export const VCPUOP_SEND_NMI = 11;
export const VCPUOP_GET_PHYSID = 12;
export const VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA = 13;
/** Shortest period of the periodic timer, in nanoseconds. */
export const VCPU_PERIODIC_MIN_NS = 1000000;
/** Flag of the one-shot timer: a time in the past is an error. */
export const VCPU_SSHOTTMR_FUTURE = 1;

export const RUNSTATE_RUNNING = 0;
export const RUNSTATE_RUNNABLE = 1;
export const RUNSTATE_BLOCKED = 2;
export const RUNSTATE_OFFLINE = 3;

// ---------------------------------------------------------------------------------------------------------------
// Event channels
// ---------------------------------------------------------------------------------------------------------------

export const EVTCHNOP_BIND_INTERDOMAIN = 0;
export const EVTCHNOP_BIND_VIRQ = 1;
export const EVTCHNOP_BIND_PIRQ = 2;
export const EVTCHNOP_CLOSE = 3;
export const EVTCHNOP_SEND = 4;
export const EVTCHNOP_STATUS = 5;
export const EVTCHNOP_ALLOC_UNBOUND = 6;
export const EVTCHNOP_BIND_IPI = 7;
export const EVTCHNOP_BIND_VCPU = 8;
export const EVTCHNOP_UNMASK = 9;
export const EVTCHNOP_RESET = 10;
export const EVTCHNOP_INIT_CONTROL = 11;
export const EVTCHNOP_EXPAND_ARRAY = 12;
export const EVTCHNOP_SET_PRIORITY = 13;
/** EVTCHNOP_reset that goes on. */
export const EVTCHNOP_RESET_CONT = 14;

export const EVTCHNSTAT_CLOSED = 0;
export const EVTCHNSTAT_UNBOUND = 1;
export const EVTCHNSTAT_INTERDOMAIN = 2;
export const EVTCHNSTAT_PIRQ = 3;
export const EVTCHNSTAT_VIRQ = 4;
export const EVTCHNSTAT_IPI = 5;

/** Ports of the 2-level interface of a 32-bit guest. */
export const EVTCHN_2L_PORTS = 1024;
/** Ports are looked up in groups of so many: a closed one in a group that has been used is closed, in another it does not exist. */
export const EVTCHN_GROUP = 64;

/** FIFO interface: bits of an event word, and what links it to the next one. */
export const EVTCHN_FIFO_PENDING = 0x80000000 | 0;
export const EVTCHN_FIFO_MASKED = 0x40000000;
export const EVTCHN_FIFO_LINKED = 0x20000000;
export const EVTCHN_FIFO_BUSY = 0x10000000;
export const EVTCHN_FIFO_LINK_BITS = 17;
export const EVTCHN_FIFO_LINK_MASK = 0x1ffff;
/** Ports of the FIFO interface. */
export const EVTCHN_FIFO_PORTS = 0x20000;
/** Priorities: 0 is the most urgent one. */
export const EVTCHN_FIFO_PRIORITIES = 16;
export const EVTCHN_FIFO_PRIORITY_DEFAULT = 7;

export const VIRQ_TIMER = 0;
export const VIRQ_DEBUG = 1;
export const VIRQ_CONSOLE = 2;
export const VIRQ_DOM_EXC = 3;
export const VIRQ_XENOPROF = 7;
export const VIRQ_CON_RING = 8;
export const VIRQ_XENPMU = 13;
export const NR_VIRQS = 24;
/** Physical interrupts that a domain without hardware has numbers for: the lines of one I/O APIC, and Xen's default of 32 more. */
export const NR_PIRQS = 56;
export const NR_GSIS = 24;

// ---------------------------------------------------------------------------------------------------------------
// memory_op, xen_version, vm_assist, physdev_op, console_io
// ---------------------------------------------------------------------------------------------------------------

export const XENMEM_INCREASE_RESERVATION = 0;
export const XENMEM_DECREASE_RESERVATION = 1;
export const XENMEM_MAXIMUM_RAM_PAGE = 2;
export const XENMEM_CURRENT_RESERVATION = 3;
export const XENMEM_MAXIMUM_RESERVATION = 4;
export const XENMEM_MACHPHYS_MFN_LIST = 5;
export const XENMEM_POPULATE_PHYSMAP = 6;
export const XENMEM_ADD_TO_PHYSMAP = 7;
export const XENMEM_MEMORY_MAP = 9;
export const XENMEM_MACHINE_MEMORY_MAP = 10;
export const XENMEM_EXCHANGE = 11;
export const XENMEM_MACHPHYS_MAPPING = 12;
export const XENMEM_SET_MEMORY_MAP = 13;
export const XENMEM_MAXIMUM_GPFN = 14;
export const XENMEM_REMOVE_FROM_PHYSMAP = 15;
export const XENMEM_SET_POD_TARGET = 16;
export const XENMEM_GET_POD_TARGET = 17;
export const XENMEM_GET_SHARING_FREED_PAGES = 18;
export const XENMEM_GET_SHARING_SHARED_PAGES = 19;
export const XENMEM_ACCESS_OP = 21;
export const XENMEM_ADD_TO_PHYSMAP_BATCH = 23;
export const XENMEM_MACHPHYS_COMPAT_MFN_LIST = 25;
export const XENMEM_GET_VNUMAINFO = 26;
export const XENMEM_RESERVED_DEVICE_MEMORY_MAP = 27;
export const XENMEM_ACQUIRE_RESOURCE = 28;
/** Above the sub-command in its word: extents that are done, where a call goes on. */
export const MEMOP_EXTENT_SHIFT = 6;
export const MEMOP_COMMAND_MASK = 0x3f;
/** Flags of struct xen_memory_reservation: address bits, NUMA node plus 1, and single bits. */
export const XENMEMF_ADDRESS_BITS_MASK = 0xff;
export const XENMEMF_NODE_MASK = 0xff00;
export const XENMEMF_POPULATE_ON_DEMAND = 0x10000;
export const XENMEMF_EXACT_NODE_REQUEST = 0x20000;
export const XENMEMF_VNODE = 0x40000;
export const XENMAPSPACE_GMFN_RANGE = 3;
export const XENMAPSPACE_GMFN_FOREIGN = 4;
/** Entries of a memory map that a domain may set. */
export const E820_MAX_ENTRIES = 1024;

export const XENVER_VERSION = 0;
export const XENVER_EXTRAVERSION = 1;
export const XENVER_COMPILE_INFO = 2;
export const XENVER_CAPABILITIES = 3;
export const XENVER_CHANGESET = 4;
export const XENVER_PLATFORM_PARAMETERS = 5;
export const XENVER_GET_FEATURES = 6;
export const XENVER_PAGESIZE = 7;
export const XENVER_GUEST_HANDLE = 8;
export const XENVER_COMMANDLINE = 9;
export const XENVER_BUILD_ID = 10;

/** Bits of XENVER_get_features, submap 0, and the names of ELF notes' feature lists (features.h). */
export const XENFEAT_WRITABLE_PAGE_TABLES = 0;
export const XENFEAT_WRITABLE_DESCRIPTOR_TABLES = 1;
export const XENFEAT_AUTO_TRANSLATED_PHYSMAP = 2;
export const XENFEAT_SUPERVISOR_MODE_KERNEL = 3;
export const XENFEAT_PAE_PGDIR_ABOVE_4GB = 4;
export const XENFEAT_MMU_PT_UPDATE_PRESERVE_AD = 5;
export const XENFEAT_HIGHMEM_ASSIST = 6;
export const XENFEAT_GNTTAB_MAP_AVAIL_BITS = 7;
export const XENFEAT_HVM_CALLBACK_VECTOR = 8;
export const XENFEAT_HVM_SAFE_PVCLOCK = 9;
export const XENFEAT_HVM_PIRQS = 10;
export const XENFEAT_DOM0 = 11;
export const XENFEAT_MEMORY_OP_VNODE_SUPPORTED = 13;
export const XENFEAT_NOT_DIRECT_MAPPED = 16;
export const XENFEAT_DIRECT_MAPPED = 17;

export const VMASST_CMD_ENABLE = 0;
export const VMASST_CMD_DISABLE = 1;
export const VMASST_TYPE_4GB_SEGMENTS = 0;
export const VMASST_TYPE_4GB_SEGMENTS_NOTIFY = 1;
export const VMASST_TYPE_WRITABLE_PAGETABLES = 2;
export const VMASST_TYPE_PAE_EXTENDED_CR3 = 3;
export const VMASST_TYPE_ARCHITECTURAL_IOPL = 4;
export const VMASST_TYPE_RUNSTATE_UPDATE_FLAG = 5;

export const PHYSDEVOP_IRQ_UNMASK_NOTIFY = 4;
export const PHYSDEVOP_IRQ_STATUS_QUERY = 5;
export const PHYSDEVOP_SET_IOPL = 6;
export const PHYSDEVOP_SET_IOBITMAP = 7;
export const PHYSDEVOP_APIC_READ = 8;
export const PHYSDEVOP_APIC_WRITE = 9;
export const PHYSDEVOP_ALLOC_IRQ_VECTOR = 10;
export const PHYSDEVOP_EOI = 12;
export const PHYSDEVOP_MAP_PIRQ = 13;
export const PHYSDEVOP_UNMAP_PIRQ = 14;
export const PHYSDEVOP_MANAGE_PCI_ADD = 15;
export const PHYSDEVOP_MANAGE_PCI_REMOVE = 16;
export const PHYSDEVOP_PIRQ_EOI_GMFN_V1 = 17;
export const PHYSDEVOP_RESTORE_MSI = 19;
export const PHYSDEVOP_MANAGE_PCI_ADD_EXT = 20;
export const PHYSDEVOP_SETUP_GSI = 21;
export const PHYSDEVOP_GET_FREE_PIRQ = 23;
export const PHYSDEVOP_PCI_MMCFG_RESERVED = 24;
export const PHYSDEVOP_PCI_DEVICE_ADD = 25;
export const PHYSDEVOP_PCI_DEVICE_REMOVE = 26;
export const PHYSDEVOP_RESTORE_MSI_EXT = 27;
export const PHYSDEVOP_PIRQ_EOI_GMFN_V2 = 28;
export const PHYSDEVOP_DBGP_OP = 29;
export const PHYSDEVOP_PREPARE_MSIX = 30;
export const PHYSDEVOP_RELEASE_MSIX = 31;
/** Flag of irq_status_query: an interrupt must be told when it is done. */
export const XENIRQSTAT_NEEDS_EOI = 1;
export const MAP_PIRQ_TYPE_GSI = 1;
export const MAP_PIRQ_TYPE_MULTI_MSI = 4;

export const HVMOP_SET_PARAM = 0;
export const HVMOP_GET_PARAM = 1;
export const HVMOP_FLUSH_TLBS = 5;
export const HVMOP_PAGETABLE_DYING = 9;
export const HVMOP_GET_TIME = 10;
export const HVMOP_XENTRACE = 11;
export const HVMOP_GET_MEM_TYPE = 15;
export const HVMOP_SET_EVTCHN_UPCALL_VECTOR = 23;
export const HVMOP_GUEST_REQUEST_VM_EVENT = 24;
export const HVMOP_ALTP2M = 25;
/** Parameters that an HVM domain has. */
export const HVM_NR_PARAMS = 39;

export const CONSOLEIO_WRITE = 0;
export const CONSOLEIO_READ = 1;

// ---------------------------------------------------------------------------------------------------------------
// grant_table_op
// ---------------------------------------------------------------------------------------------------------------

export const GNTTABOP_MAP_GRANT_REF = 0;
export const GNTTABOP_UNMAP_GRANT_REF = 1;
export const GNTTABOP_SETUP_TABLE = 2;
export const GNTTABOP_DUMP_TABLE = 3;
export const GNTTABOP_TRANSFER = 4;
export const GNTTABOP_COPY = 5;
export const GNTTABOP_QUERY_SIZE = 6;
export const GNTTABOP_UNMAP_AND_REPLACE = 7;
export const GNTTABOP_SET_VERSION = 8;
export const GNTTABOP_GET_STATUS_FRAMES = 9;
export const GNTTABOP_GET_VERSION = 10;
export const GNTTABOP_SWAP_GRANT_REF = 11;
export const GNTTABOP_CACHE_FLUSH = 12;

export const GNTST_OKAY = 0;
export const GNTST_GENERAL_ERROR = -1;
export const GNTST_BAD_DOMAIN = -2;
export const GNTST_BAD_GNTREF = -3;
export const GNTST_BAD_HANDLE = -4;
export const GNTST_BAD_VIRT_ADDR = -5;
export const GNTST_BAD_DEV_ADDR = -6;
export const GNTST_NO_DEVICE_SPACE = -7;
export const GNTST_PERMISSION_DENIED = -8;
export const GNTST_BAD_PAGE = -9;
export const GNTST_BAD_COPY_ARG = -10;
export const GNTST_ADDRESS_TOO_BIG = -11;
export const GNTST_EAGAIN = -12;
export const GNTST_NO_SPACE = -13;

export const GTF_TYPE_MASK = 3;
export const GTF_INVALID = 0;
export const GTF_PERMIT_ACCESS = 1;
export const GTF_ACCEPT_TRANSFER = 2;
export const GTF_TRANSITIVE = 3;
export const GTF_READONLY = 4;
export const GTF_READING = 8;
export const GTF_WRITING = 16;
export const GTF_SUB_PAGE = 0x100;
export const GTF_TRANSFER_COMMITTED = 4;
export const GTF_TRANSFER_COMPLETED = 8;

export const GNTMAP_DEVICE_MAP = 1;
export const GNTMAP_HOST_MAP = 2;
export const GNTMAP_READONLY = 4;
export const GNTMAP_APPLICATION_MAP = 8;
export const GNTMAP_CONTAINS_PTE = 16;
/** Bits from here on go into those of the entry that are the guest's. */
export const GNTMAP_GUEST_AVAIL_SHIFT = 16;
/** A sub-command's number; above it, where a call goes on that was preempted. */
export const GNTTABOP_CMD_MASK = 0xfff;

export const GNTCOPY_SOURCE_GREF = 1;
export const GNTCOPY_DEST_GREF = 2;
export const GNTTAB_CACHE_CLEAN = 1;
export const GNTTAB_CACHE_INVAL = 2;

export const GNTTAB_RESERVED_CONSOLE = 0;
export const GNTTAB_RESERVED_XENSTORE = 1;
export const GNTTAB_NR_RESERVED_ENTRIES = 8;
/** Entries of version 1 in one frame of the table. */
export const GRANT_ENTRIES_PER_FRAME = 512;
/** Frames a grant table may grow to. */
export const GRANT_MAX_FRAMES = 64;
/** By bit number, as ELF notes spell them. */
export const XENFEAT_NAMES = [
  "writable_page_tables",
  "writable_descriptor_tables",
  "auto_translated_physmap",
  "supervisor_mode_kernel",
  "pae_pgdir_above_4gb",
  "mmu_pt_update_preserve_ad",
  "highmem_assist",
  "gnttab_map_avail_bits",
  "hvm_callback_vector",
  "hvm_safe_pvclock",
  "hvm_pirqs",
  "dom0",
];

/** Versions of the interfaces for the toolstack (sysctl.h, domctl.h, platform.h). */
export const XEN_SYSCTL_INTERFACE_VERSION = 0x15;
export const XEN_DOMCTL_INTERFACE_VERSION = 0x15;
export const XENPF_INTERFACE_VERSION = 0x03000000;
