using System.Runtime.InteropServices;

// libc is looked for where the system keeps its libraries, never beside the assembly or in the working directory.
[assembly: DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
